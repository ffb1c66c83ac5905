"""Claims about the search itself: its parameters and the size of linear regions (croce2019, 5.5 and 6)."""

from __future__ import annotations

import numpy as np

from gauntlet.reporting.claims import Verdict, all_of, at_most, direction
from gauntlet.reporting.inputs import ArtefactInputs, EvaluationResult
from gauntlet.reporting.resampling import bootstrap
from gauntlet.reporting.statistics import median
from gauntlet.works.croce2019.linear_regions.figures import sizes_by_regions, swept


def _final(result: EvaluationResult, parameter: str, skip: tuple[float, ...] = ()) -> np.ndarray:
    """Return the final size of every image and value of the parameter, ``[N, V]``."""
    values = [value for value in swept(result, parameter) if value not in skip]
    return np.stack([_sizes(result, parameter, value)[:, -1] for value in values], 1)


def _sizes(result: EvaluationResult, parameter: str, value: float) -> np.ndarray:
    return sizes_by_regions(result, swept(result, parameter)[value])[1]


def _spread(name: str, final: np.ndarray, bound: float) -> Verdict:
    """Bound the relative difference of the largest and the smallest mean."""

    def spread(sample: np.ndarray) -> float:
        mean = sample.mean(0)
        return float(mean.max() / mean.min() - 1)

    return at_most(name, *bootstrap(spread, final).ends, bound=bound)


def c20(inputs: ArtefactInputs) -> Verdict:
    """C20: the final mean varies with q by at most ``alike``, and early on q = 1 is ahead of q = 0.6.

    Early is the recorded number of regions nearest to a tenth of all.
    """
    parts = []
    for name, result in inputs.evaluations.items():
        numbers, ahead = sizes_by_regions(result, "q-1.0")
        early = int(np.abs(np.array(numbers) - numbers[-1] / 10).argmin())
        early = max(early, 1)
        behind = _sizes(result, "q", 0.6)
        difference = bootstrap(lambda sample: sample.mean(), (behind - ahead)[:, early])
        parts.append(_spread(f"{name}, spread over q", _final(result, "q"), inputs.settings["alike"]))
        parts.append(
            direction(f"{name}, distance after {numbers[early]} regions, q 0.6 minus q 1", *difference.ends)
        )
    return all_of(*parts)


def c21(inputs: ArtefactInputs) -> Verdict:
    """C21: on MNIST gamma = 1 ends worse than the rest and 3 to 9 are alike; on GTS all are, after few regions."""
    mnist, gts = inputs.evaluations["sweeps-mnist"], inputs.evaluations["sweeps-gts"]
    alike = inputs.settings["alike"]
    rest = _final(mnist, "gamma", skip=(1.0, 2.0))
    worse = bootstrap(
        lambda samples: samples[0].mean() / samples[1].mean(0).max() - 1,
        [_sizes(mnist, "gamma", 1.0)[:, -1], rest],
    )
    numbers, sizes = sizes_by_regions(gts, "gamma-9")
    few = int(np.abs(np.array(numbers) - inputs.settings["few"]).argmin())
    missing = bootstrap(lambda sample: sample[:, few].mean() / sample[:, -1].mean() - 1, sizes)
    return all_of(
        direction("MNIST, gamma 1 above the worst of 3 to 9", *worse.ends),
        _spread("MNIST, spread over gamma 3 to 9", rest, alike),
        _spread("GTS, spread over gamma", _final(gts, "gamma"), alike),
        at_most(f"GTS, still to come after {numbers[few]} regions", *missing.ends, bound=alike),
    )


def c22(inputs: ArtefactInputs) -> Verdict:
    """C22: whatever q and gamma, gamma = 1 on MNIST left out, the final means differ by at most ``alike``."""
    parts = []
    for name, result in inputs.evaluations.items():
        skip = (1.0,) if name == "sweeps-mnist" else ()
        final = np.concatenate([_final(result, "q"), _final(result, "gamma", skip)], 1)
        parts.append(_spread(f"{name}, spread over q and gamma", final, inputs.settings["alike"]))
    return all_of(*parts)


def c24(inputs: ArtefactInputs) -> Verdict:
    """C24: in the region of a start on GTS lies a boundary point nearer to the image by a noticeable share.

    Supported if the median over images of 1 - d(solution) / d(start) exceeds ``share``. Solutions outside
    their region by more than ``tolerance`` do not count.
    """
    gains = []
    for result in inputs.evaluations.values():
        rows = result.rows("path")
        last = max(int(str(name).partition("_")[2]) for name in rows if str(name).startswith("distance_"))
        inside = rows["violation"] <= inputs.settings["tolerance"]
        gains.append((1 - rows[f"distance_{last}"] / rows["distance_1"])[inside].to_numpy(dtype=float))
    interval = median(np.concatenate(gains))
    return direction("relative way within one region", *interval, threshold=inputs.settings["share"])
