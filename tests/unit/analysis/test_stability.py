"""Perturbation stability from the predictions before and after an attack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gauntlet.analysis.intervals import wilson
from gauntlet.analysis.results import Results
from gauntlet.analysis.stability import NATURAL, ROBUST, STABLE, shares_under_attack, under_attack
from gauntlet.attacks.fixed_budget.mi_fgsm import MiFgsm
from gauntlet.attacks.fixed_budget.pgd import Pgd
from gauntlet.contracts import Batch, Procedure
from gauntlet.errors import DataError
from gauntlet.measures.clean import Clean

ResultsOf = Callable[..., Results]


def results(results_of: ResultsOf, before: list[int], after: list[int], **changes: list[int]) -> Results:
    """Return clean and attacked predictions of images whose true class is 0."""
    attacked = {
        "prediction": after,
        "success": [each != 0 for each in after],
        "iterations": [20] * len(after),
    }
    return results_of(
        {"model": {"clean": {"columns": {"prediction": before}}, "pgd": {"columns": attacked | changes}}}
    )


def joined(found: Results) -> Mapping[str, list[bool]]:
    frame = under_attack(found.where(procedure="clean"), found.where(procedure="pgd"))
    return {name: frame[name].tolist() for name in frame}


def test_an_image_is_robust_if_it_is_right_and_stable(results_of: ResultsOf) -> None:
    """Right and held; right and lost; wrong and held; wrong and moved on; wrong and put right by the attack."""
    found = joined(results(results_of, before=[0, 0, 1, 1, 1], after=[0, 1, 1, 2, 0]))
    assert found[NATURAL] == [True, True, False, False, False]
    assert found[STABLE] == [True, False, True, False, False]
    assert found[ROBUST] == [True, False, False, False, False]


def test_the_shares_obey_the_identities_in_closed_form(results_of: ResultsOf) -> None:
    """Of 20 images 12 are right, 7 of them hold; of the 8 wrong ones 5 hold."""
    found = results(
        results_of,
        before=[0] * 12 + [1] * 8,
        after=[0] * 7 + [1] * 5 + [1] * 5 + [2] * 3,
    )
    shares = shares_under_attack(found.where(procedure="clean"), found.where(procedure="pgd"))
    natural, robust, stable = (shares[name].estimate for name in (NATURAL, ROBUST, STABLE))
    assert (natural, robust, stable) == pytest.approx((60, 35, 60))
    assert robust <= min(natural, stable) and stable <= robust + 100 - natural
    assert shares[STABLE] == pytest.approx(wilson(12, 20).scaled(100))


def test_an_attack_that_leaves_misclassified_images_alone_tells_no_stability(results_of: ResultsOf) -> None:
    idle = results(results_of, before=[0, 1, 1], after=[1, 1, 1], iterations=[5, 0, 0])
    with pytest.raises(DataError, match="leaves misclassified images as they are"):
        joined(idle)
    untouched_but_right = results(results_of, before=[0, 0], after=[0, 0], iterations=[0, 0])
    assert joined(untouched_but_right)[STABLE] == [True, True]


def test_success_that_is_no_wrong_class_contradicts_stability(results_of: ResultsOf) -> None:
    """As of an attack that was aimed at a target and missed it, ending in another wrong class."""
    with pytest.raises(DataError, match="contradict each other"):
        joined(results(results_of, before=[0, 0], after=[0, 1], success=[False, False]))


def test_predictions_of_two_evaluations_are_not_joined(results_of: ResultsOf) -> None:
    columns = {"prediction": [0], "success": [False], "iterations": [20]}
    found = results_of({"thin": {"clean": {"columns": columns}}, "wide": {"pgd": {"columns": columns}}})
    with pytest.raises(LookupError, match="evaluation has 2 values"):
        joined(found)


@pytest.mark.parametrize("margin", [False, True])
def test_attacks_of_one_linear_network_are_as_stable_as_its_margins_say(
    results_of: ResultsOf, margin: bool
) -> None:
    """Logits (x, 0) of one pixel x - 1/2: the class changes within eps if the pixel is nearer than eps to 1/2."""

    class Threshold(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logit = images.flatten(1) - 0.5
            return torch.cat([logit, torch.zeros_like(logit)], 1)

    pixels = torch.tensor([0.9, 0.55, 0.45, 0.1, 0.52, 0.3])
    labels = torch.tensor([0, 0, 0, 0, 1, 1])
    batch = Batch(pixels.view(-1, 1, 1, 1), labels, torch.arange(6), torch.Generator().manual_seed(0))
    attack: Procedure = Pgd(norm="linf", eps=0.1, steps=4, step_size=0.04)
    if margin:
        attack = MiFgsm(eps=0.1, steps=4, step_size=0.04, loss="margin", early_stop=False)
    ran = {name: {k: v.numpy() for k, v in each.run(Threshold(), batch).columns.items()}
           for name, each in (("clean", Clean()), ("pgd", attack))}  # fmt: skip
    found = results_of({"model": {name: _with_labels(columns, labels) for name, columns in ran.items()}})
    # Both attacks climb the loss of the true class: a misclassified image is driven further from it.
    assert joined(found) == {
        NATURAL: [True, True, False, False, False, True],
        ROBUST: [True, False, False, False, False, True],
        STABLE: [True, False, True, True, True, True],
    }


def _with_labels(columns: dict[str, np.ndarray], labels: torch.Tensor) -> dict[str, Any]:
    return {"columns": {**columns, "label": labels.numpy()}}
