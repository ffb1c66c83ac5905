"""The watermark covers what it should, keeps the best mark, and counts its queries."""

from __future__ import annotations

import torch
from torch import nn

from gauntlet.attacks.score_based.watermark import MARK, Watermark
from gauntlet.contracts import Batch


class Brightness(nn.Module):
    """Class 1 if the mean of the image exceeds a threshold, else class 0."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, images):
        excess = 20 * (images.flatten(1).mean(1) - self.threshold)
        return torch.stack([-excess, excess], 1)


def black(count: int, side: int = 10) -> Batch:
    images = torch.zeros(count, 1, side, side)
    labels = torch.zeros(count, dtype=torch.int64)
    return Batch(images, labels, torch.arange(count), torch.Generator().manual_seed(0))


CELLS = sum(line.count("#") for line in MARK)


def test_a_mark_covers_its_cells_with_one_opacity():
    outcome = Watermark(cell=2, opacity=(0.3, 0.7), budget=40).run(Brightness(2.0), black(5))
    for image in outcome.images:
        covered = image[image > 0]
        assert len(covered) == CELLS * 4
        assert covered.max() - covered.min() < 1e-6 and 0.3 <= covered.min() <= 0.7


def test_an_image_that_cannot_be_fooled_keeps_the_strongest_mark():
    """The network only sees brightness: of two hundred opacities it keeps one of the largest."""
    outcome = Watermark(cell=1, opacity=(0.2, 0.8), budget=200).run(Brightness(0.5), black(3))
    assert not outcome.columns["success"].any()
    assert (outcome.columns["linf"] > 0.75).all()
    assert (outcome.columns["queries"] == 201).all()


def test_a_fooled_image_leaves_early():
    # A fifth of the opacities brighten the mean beyond the threshold.
    threshold = CELLS / 100 * 0.7
    outcome = Watermark(cell=1, opacity=(0.3, 0.8), budget=400, at_once=20).run(
        Brightness(threshold), black(6)
    )
    assert outcome.columns["success"].all()
    assert (outcome.columns["queries"] < 200).all()
    assert (outcome.columns["linf"] >= 0.7).all()


def test_an_image_that_is_misclassified_already_stays_as_it_is():
    outcome = Watermark(budget=20).run(Brightness(-1.0), black(2, side=28))
    assert outcome.columns["success"].all() and (outcome.columns["linf"] == 0).all()
    assert (outcome.columns["queries"] == 1).all()
