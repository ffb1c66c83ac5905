"""Starts of the attacks inside training: inside ball and box, and where their definitions say."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from gauntlet.contracts import DEFENCES, Progress
from gauntlet.defences.starts import (
    BackwardSmoothing,
    CleanStart,
    GaussianStart,
    OutputDiversified,
    Start,
    TrueLogit,
    UniformStart,
)
from gauntlet.defences.trades import Trades, divergences

EPS = 0.1
START = Progress(epoch=0, epochs=1, step=0, steps=1)
STARTS = [
    CleanStart(),
    GaussianStart(scale=0.3),
    UniformStart(),
    BackwardSmoothing(),
    OutputDiversified(),
    TrueLogit(),
    TrueLogit(form="printed"),
]


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start.name)
def test_starts_stay_in_the_ball_and_the_box(start, smooth_model, gray_batch):
    batch = gray_batch()
    batch = replace(batch, images=batch.images.round())  # black and white
    points = start.points(smooth_model, batch, EPS, 0.15)
    assert (points - batch.images).abs().max() <= EPS + 1e-6
    assert points.min() >= 0 and points.max() <= 1
    assert (start.name == "clean") == torch.equal(points, batch.images)


def test_backward_smoothing_goes_towards_its_random_target(smooth_model, gray_batch):
    """The divergence from the target to the answer falls for a small step, image by image."""
    batch = gray_batch()
    clean = smooth_model(batch.images).detach()
    points = BackwardSmoothing().points(smooth_model, batch, EPS, 0.01)
    psi = torch.rand(clean.shape, generator=gray_batch().generator) * 2 - 1  # the start's only draw
    target = clean + psi
    assert (divergences(target, smooth_model(points)) < divergences(target, clean)).all()


def test_targets_of_backward_smoothing_differ_from_image_to_image(smooth_model, gray_batch):
    batch = gray_batch()
    same = replace(batch, images=batch.images[:1].expand(8, -1, -1, -1).clone())
    points = BackwardSmoothing().points(smooth_model, same, EPS, 0.1)
    assert len(points.flatten(1).unique(dim=0)) > 1


def test_gamma_hardly_matters_for_backward_smoothing_since_the_step_is_a_sign(smooth_model, gray_batch):
    small, large = (
        BackwardSmoothing(gamma=gamma).points(smooth_model, gray_batch(), EPS, 0.1) for gamma in (0.01, 0.02)
    )
    assert (small == large).float().mean() > 0.99


@pytest.mark.parametrize("one_pass", [True, False])
def test_several_draws_take_the_step_of_their_mean_gradient(smooth_model, gray_batch, one_pass):
    """The one pass with the mean target agrees with a gradient for each draw."""
    batch, count = gray_batch(), 4
    start = BackwardSmoothing(draws=count, one_pass=one_pass)
    assert start.passes == (1 if one_pass else 4)
    points = start.points(smooth_model, batch, EPS, 0.05)
    generator = gray_batch().generator
    leaf = batch.images.clone().requires_grad_()
    total = torch.zeros_like(leaf)
    for _ in range(count):
        logits = smooth_model(leaf)
        answer = logits.detach()
        psi = torch.rand(answer.shape, generator=generator) * 2 - 1
        total += torch.autograd.grad(divergences(answer + psi, logits).sum(), leaf)[0]
    torch.testing.assert_close(points, batch.images - 0.05 * total.sign())


def test_backward_smoothing_with_a_step_of_the_radius_ends_at_minus_eps_zero_or_eps(smooth_model, gray_batch):
    defence = Trades(eps=EPS, steps=1, step_size=EPS, start=BackwardSmoothing(), strength=10)
    batch = gray_batch()
    change = defence.loss(smooth_model, batch, START).perturbed - batch.images
    corners = torch.tensor([-EPS, 0.0, EPS])
    assert (change[..., None] - corners).abs().amin(-1).max() < 1e-6
    assert {round(value, 3) for value in change.flatten().tolist()} == {-EPS, 0.0, EPS}


def test_without_a_step_the_network_learns_from_the_start_itself(smooth_model, gray_batch):
    defence = Trades(eps=EPS, steps=0, step_size=EPS, start=BackwardSmoothing(), strength=10)
    learned = defence.loss(smooth_model, gray_batch(), START).perturbed
    points = BackwardSmoothing().points(smooth_model, gray_batch(), EPS, EPS)
    assert torch.equal(learned, points)


def test_output_diversified_start_raises_the_logits_along_its_direction(smooth_model, gray_batch):
    batch = gray_batch()
    clean = smooth_model(batch.images)
    psi = torch.rand(clean.shape, generator=gray_batch().generator) * 2 - 1
    points = OutputDiversified().points(smooth_model, batch, EPS, 0.01)
    assert (((smooth_model(points) - clean) * psi).sum(1) > 0).all()


def test_true_logit_start_moves_the_true_logit_in_the_drawn_direction(smooth_model, gray_batch):
    batch = gray_batch()
    own = batch.labels[:, None]
    clean = smooth_model(batch.images).gather(1, own)
    psi = (torch.rand((8, 3), generator=gray_batch().generator) * 2 - 1).gather(1, own)
    moved = smooth_model(TrueLogit().points(smooth_model, batch, EPS, 0.001)).gather(1, own) - clean
    assert torch.equal(moved.sign(), psi.sign())


def test_true_logit_start_as_printed_pulls_the_logit_itself_to_the_draw(gray_batch):
    """With a true logit far above all draws that is a step that lowers it."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
    nn.init.constant_(model[1].weight, 1.0)
    nn.init.constant_(model[1].bias, 50.0)
    batch = gray_batch()
    points = TrueLogit(form="printed").points(model, batch, EPS, 0.05)
    torch.testing.assert_close(points, batch.images - 0.05)


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start.name)
def test_starts_are_written_out_and_read_back(start):
    entry = {"name": "fast_adversarial_training", "start": TypeAdapter(Start).dump_python(start)}
    defence = DEFENCES.parse(entry)
    assert defence.start == start
    assert DEFENCES.parse(DEFENCES.dump(defence)) == defence


def test_an_unknown_start_or_setting_of_one_is_refused():
    for start in ({"name": "corner"}, {"name": "uniform", "scale": 1}):
        with pytest.raises(ValidationError):
            TypeAdapter(Start).validate_python(start)
