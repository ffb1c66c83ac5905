"""Claims about the search itself: its parameters and the size of linear regions (croce2019, 5.5 and 6)."""

from __future__ import annotations

import numpy as np

from gauntlet.analysis.bootstrap import bootstrap, median
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.results import Results
from gauntlet.analysis.verdicts import Verdict, above, all_of, at_most
from gauntlet.works.croce2019.linear_regions.figures import sizes_by_regions, solution_gains


def the_bias_q_hardly_matters(inputs: ArtefactInputs) -> Verdict:
    """The final mean distance varies with q by at most a tenth, and early on q = 1 is ahead of q = 0.6.

    Early is the recorded number of regions nearest to a tenth of all.
    """
    parts = []
    for data, results in inputs.results.groups("data"):
        numbers, ahead = sizes_by_regions(results.one(q=1.0))
        early = max(int(np.abs(np.array(numbers) - numbers[-1] / 10).argmin()), 1)
        behind = sizes_by_regions(results.one(q=0.6))[1]
        difference = bootstrap(np.mean, (behind - ahead)[:, early]).interval()
        parts.append(_spread(f"{data}, spread over q", _final(results, "q"), inputs.settings["alike"]))
        parts.append(above(f"{data}, distance after {numbers[early]} regions, q 0.6 minus q 1", difference))
    return all_of(*parts)


def only_gamma_1_on_mnist_is_worse(inputs: ArtefactInputs) -> Verdict:
    """On MNIST gamma = 1 ends above the worst of 3 to 9, which differ by at most a tenth.

    On GTS all nine differ by at most a tenth, and after the stated number of regions at most a tenth is to come.
    """
    mnist, gts = inputs.results.where(data="MNIST"), inputs.results.where(data="GTS")
    alike = inputs.settings["alike"]
    first, rest = _final(mnist, "gamma", [1]), _final(mnist, "gamma", [3, 4, 5, 6, 7, 8, 9])
    worse = bootstrap(lambda samples: samples[0].mean() / samples[1].mean(0).max() - 1, [first, rest])
    numbers, sizes = sizes_by_regions(gts.one(gamma=9))
    few = int(np.abs(np.array(numbers) - inputs.settings["few"]).argmin())
    missing = bootstrap(lambda sample: sample[:, few].mean() / sample[:, -1].mean() - 1, sizes)
    return all_of(
        above("MNIST, gamma 1 above the worst of 3 to 9", worse.interval()),
        _spread("MNIST, spread over gamma 3 to 9", rest, alike),
        _spread("GTS, spread over gamma", _final(gts, "gamma"), alike),
        at_most(f"GTS, still to come after {numbers[few]} regions", missing.interval(), alike),
    )


def q_and_gamma_reach_the_same_statistics(inputs: ArtefactInputs) -> Verdict:
    """Whatever q and gamma, gamma = 1 on MNIST left out, the final mean distances differ by at most a tenth."""
    parts = []
    for data, results in inputs.results.groups("data"):
        gammas = [gamma for gamma in results.values("gamma") if not (data == "MNIST" and gamma == 1)]
        final = np.concatenate([_final(results, "q"), _final(results, "gamma", gammas)], 1)
        parts.append(_spread(f"{data}, spread over q and gamma", final, inputs.settings["alike"]))
    return all_of(*parts)


def linear_regions_are_large(inputs: ArtefactInputs) -> Verdict:
    """In the region of a start on GTS lies a boundary point that is nearer to the image by more than a tenth.

    Judged is the median over images of 1 - d(solution) / d(start); solutions outside their region do not count.
    """
    tolerance = inputs.settings["tolerance"]
    gains = [solution_gains(results, tolerance) for _, results in inputs.results.groups("run")]
    return above("relative way within one region", median(np.concatenate(gains)), inputs.settings["share"])


def _final(results: Results, parameter: str, values: list[float] | None = None) -> np.ndarray:
    """Return the final distance of every image for several values of a parameter, ``[N, V]``."""
    chosen = results.values(parameter) if values is None else values
    return np.stack([sizes_by_regions(results.one(**{parameter: value}))[1][:, -1] for value in chosen], 1)


def _spread(name: str, final: np.ndarray, bound: float) -> Verdict:
    """Bound the relative difference of the largest and the smallest mean."""

    def spread(sample: np.ndarray) -> float:
        mean = sample.mean(0)
        return float(mean.max() / mean.min() - 1)

    return at_most(name, bootstrap(spread, final).interval(), bound)
