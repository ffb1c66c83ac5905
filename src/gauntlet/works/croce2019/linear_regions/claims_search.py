"""Claims about the search itself: its parameters and the size of linear regions (croce2019, 5.5 and 6).

Distances are compared by their mean and their median over images; the figures' largest distance is that of a single
image and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gauntlet.analysis.bootstrap import bootstrap, median
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.results import Results
from gauntlet.analysis.verdicts import Verdict, above, all_of, at_most
from gauntlet.works.croce2019.linear_regions.figures import sizes_by_regions, solution_gains


def the_bias_q_hardly_matters(inputs: ArtefactInputs) -> Verdict:
    """The final mean and median distances vary with q by at most {alike}, and early on q = 1 is ahead of q = 0.6.

    Early is the recorded number of regions nearest to a tenth of all.
    """
    parts = []
    for data, results in inputs.results.groups("data"):
        numbers, ahead = sizes_by_regions(results.one(q=1.0))
        early = max(int(np.abs(np.array(numbers) - numbers[-1] / 10).argmin()), 1)
        behind = sizes_by_regions(results.one(q=0.6))[1]
        difference = bootstrap(np.mean, (behind - ahead)[:, early]).interval()
        parts.append(_alike(f"{data}, over q", _final(results, "q"), inputs.settings["alike"]))
        parts.append(above(f"{data}, distance after {numbers[early]} regions, q 0.6 minus q 1", difference))
    return all_of(parts)


def only_gamma_1_on_mnist_is_worse(inputs: ArtefactInputs) -> Verdict:
    """On MNIST gamma = 1 ends more than {alike} above the worst of 3 to 9, which differ by at most that.

    On GTS all nine differ by at most {alike}, and after {few} regions at most {alike} is to come (relative, in mean
    and median).
    """
    mnist, gts = inputs.results.where(data="MNIST"), inputs.results.where(data="GTS")
    alike = inputs.settings["alike"]
    first, rest = _final(mnist, "gamma", [1]), _final(mnist, "gamma", [3, 4, 5, 6, 7, 8, 9])
    worse = bootstrap(lambda samples: samples[0].mean() / samples[1].mean(0).max() - 1, [first, rest])
    numbers, sizes = sizes_by_regions(gts.one(gamma=9))
    few = int(np.abs(np.array(numbers) - inputs.settings["few"]).argmin())
    return all_of(
        above("MNIST, gamma 1 above the worst of 3 to 9", worse.interval(), alike),
        _alike("MNIST, over gamma 3 to 9", rest, alike),
        _alike("GTS, over gamma", _final(gts, "gamma"), alike),
        _alike(f"GTS, from {numbers[few]} regions to the end", sizes[:, [few, -1]], alike),
    )


def q_and_gamma_reach_the_same_statistics(inputs: ArtefactInputs) -> Verdict:
    """Whatever q and gamma, gamma = 1 on MNIST left out, final mean and median differ by at most {alike}."""
    parts = []
    for data, results in inputs.results.groups("data"):
        gammas = [gamma for gamma in results.values("gamma") if not (data == "MNIST" and gamma == 1)]
        final = np.concatenate([_final(results, "q"), _final(results, "gamma", gammas)], 1)
        parts.append(_alike(f"{data}, over q and gamma", final, inputs.settings["alike"]))
    return all_of(parts)


def linear_regions_are_large(inputs: ArtefactInputs) -> Verdict:
    """In the region of a start on GTS lies a boundary point that is nearer to the image by more than {share}.

    Judged is the median over images of 1 - d(solution) / d(start). A solution counts if it violates no constraint of
    its region by more than {tolerance} and the two largest logits differ there by at most {margin}.
    """
    limits = inputs.settings["tolerance"], inputs.settings["margin"]
    gains = [solution_gains(results, *limits) for _, results in inputs.results.groups("run")]
    return above("relative way within one region", median(np.concatenate(gains)), inputs.settings["share"])


def _final(results: Results, parameter: str, values: list[float] | None = None) -> np.ndarray:
    """Return the final distance of every image for several values of a parameter, ``[N, V]``."""
    chosen = results.values(parameter) if values is None else values
    return np.stack([sizes_by_regions(results.one(**{parameter: value}))[1][:, -1] for value in chosen], 1)


def _alike(name: str, final: np.ndarray, bound: float) -> Verdict:
    """Bound the relative difference of the largest and the smallest mean, and median, of several columns."""

    def spread(sample: np.ndarray, statistic: Callable[..., np.ndarray]) -> float:
        values = statistic(sample, axis=0)
        return float(values.max() / values.min() - 1)

    statistics: dict[str, Callable[..., np.ndarray]] = {"mean": np.mean, "median": np.median}
    return all_of(
        at_most(
            f"{name}, spread of the {word}",
            bootstrap(lambda sample, of=of: spread(sample, of), final).interval(),
            bound,
        )
        for word, of in statistics.items()
    )
