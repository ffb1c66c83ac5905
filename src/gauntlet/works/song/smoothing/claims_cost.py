"""Claims about the cost of training (song, sections 5.1 and 5.3, Table 5.2).

Ratios of times carry the range that the epochs' times span, which is wide on a busy machine and for trainings of
seconds; a check needs the whole range on one side.
"""

from __future__ import annotations

from itertools import pairwise

from gauntlet.analysis.bootstrap import paired_difference
from gauntlet.analysis.certificates import estimation_error
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.training_cost import TrainingCost, if_costs_compare, training_cost
from gauntlet.analysis.verdicts import Verdict, above, all_of, not_testable, within


def _costs(inputs: ArtefactInputs) -> dict[str, TrainingCost]:
    """Return the costs by method in the order of the claim's models, which is that of their printed times."""
    return {model.labels["method"]: training_cost(model) for model in inputs.models}


def training_cost_rises_from_gaussian_to_macer(inputs: ArtefactInputs) -> Verdict:
    """Each method takes more time and memory than the one before it.

    Where the claim lets neighbors be equal (Consistency and Ours; in memory also Gaussian and Consistency), the second
    may fall short by {tolerance} of it. Both count on a GPU only, which a training has to itself.
    """
    costs = _costs(inputs)
    below, over = 1 - inputs.settings["tolerance"], 1 + inputs.settings["tolerance"]
    time, memory = [], []
    for first, second in pairwise(costs):
        ratios = costs[second].time_over(costs[first]), costs[second].memory_over(costs[first])
        may_tie = second == "Ours"
        time.append(above(f"training time, {second} over {first}", ratios[0], below if may_tie else 1))
        name = f"memory, {second} over {first}"
        if second == "Consistency":
            memory.append(within(name, ratios[1], (below, over)))
        else:
            memory.append(above(name, ratios[1], below if may_tie else 1))
    return if_costs_compare(costs.values(), all_of(*time, *memory))


def cost_ratio_lies_in_the_range(inputs: ArtefactInputs) -> Verdict:
    """The ratio of the training times of {compared} lies in the range {between}, and so does that of the memory where
    the claim speaks of it. Both count on a GPU only, which a training has to itself.
    """
    costs, (first, second) = _costs(inputs), inputs.settings["compared"]
    low, high = inputs.settings["between"]
    ratios = {"training time": costs[first].time_over(costs[second])}
    if inputs.settings["memory"]:
        ratios["memory"] = costs[first].memory_over(costs[second])
    parts = [within(f"{name}, {first} over {second}", ratio, (low, high)) for name, ratio in ratios.items()]
    return if_costs_compare(costs.values(), all_of(*parts))


def more_copies_estimate_better_at_proportional_cost(inputs: ArtefactInputs) -> Verdict:
    """The radius estimated from 8 copies errs less than from 4, and time grows as their number to within {tolerance}
    of it.

    Each image's share of votes for its class stands for its true probability. Time is that per image and epoch over
    that of Gaussian training, which takes one copy.
    """
    rows = inputs.results.rows
    voted = rows[rows["draws"] > 0].sort_values("index")
    if voted.empty:
        return not_testable("No image was put to the vote.")
    probability = (voted["votes_true"] / voted["draws"]).to_numpy()
    sigma = inputs.results.setting("sigma")
    four, eight = (estimation_error(probability, draws, sigma) for draws in (4, 8))
    costs, tolerance = _costs(inputs), inputs.settings["tolerance"]
    times = [
        within(
            f"time per image and epoch, {method} ({draws} copies) over Gaussian",
            costs[method].time_over(costs["Gaussian"], per_image=True),
            (draws * (1 - tolerance), draws * (1 + tolerance)),
        )
        for method, draws in (("Consistency", 4), ("MACER", 8))
    ]
    return all_of(
        above("mean error of the radius, 4 less 8 copies", paired_difference(four, eight)),
        if_costs_compare(costs.values(), all_of(*times)),
    )
