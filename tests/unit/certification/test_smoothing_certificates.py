"""Randomized smoothing on classifiers whose smoothed probabilities and exact radii are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import expit
from torch import nn

from gauntlet.certification.certify import Certify, SmoothedPrediction
from gauntlet.certification.smoothing import BLOCK, SmoothedClassifier
from gauntlet.contracts import PROCEDURES, Batch, Cost, Task
from gauntlet.runtime.seeding import generator_for

TASK = Task((1, 28, 28), 10)

SHAPE = (1, 2, 4)


class Affine(nn.Module):
    """Two classes divided by the hyperplane ``normal . x = offset`` with a unit normal."""

    def __init__(self, offset: float = 0.0) -> None:
        super().__init__()
        normal = torch.linspace(-1.0, 1.5, 8)
        self.register_buffer("normal", normal / normal.norm())
        self.offset = offset
        self.sizes: list[int] = []

    def forward(self, images):
        self.sizes.append(len(images))
        score = images.flatten(1) @ self.normal - self.offset
        return torch.stack([-score, score], 1)

    def images_at(self, distances) -> torch.Tensor:
        """Images of class 1 at these signed distances from the hyperplane."""
        points = (torch.as_tensor(distances, dtype=torch.float32) + self.offset)[:, None] * self.normal
        return points.view(-1, *SHAPE)


class Regions(nn.Module):
    """Three classes, decided by the first pixel's thresholds, with soft logits."""

    def forward(self, images):
        first = images.flatten(1)[:, :1]
        return torch.cat([first * 4, 2 - first, first * 2 - 0.5], 1)


def batch_of(images, labels=None, seed=0, indices=None) -> Batch:
    count = len(images)
    return Batch(
        images=images,
        labels=torch.ones(count, dtype=torch.long) if labels is None else labels,
        indices=torch.arange(count) if indices is None else indices,
        generator=generator_for("cpu", "certification", seed),
    )


def test_the_certified_radius_converges_to_the_exact_distance_from_below():
    """On a half-space the smoothed probability is Phi(d / sigma): the exact radius is the distance d."""
    model, distances = Affine(offset=0.3), torch.tensor([0.15, 0.25, 0.4])
    gaps = []
    for n in (100, 1000, 10_000):
        columns = (
            Certify(sigma=0.25, n=n, alpha=1e-4).run(model, batch_of(model.images_at(distances))).columns
        )
        gaps.append(distances - columns["radius"])
    assert all((gap >= 0).all() for gap in gaps)
    assert (gaps[0] > gaps[1]).all() and (gaps[1] > gaps[2]).all()
    assert gaps[2].max() < 0.03


@pytest.mark.parametrize("smoothing", ["hard", "soft"])
def test_the_radius_exceeds_the_exact_one_no_more_often_than_alpha(smoothing):
    """Coverage by simulation: 1000 copies of one image, each with its own noise."""
    model, alpha, sigma, distance = Affine(), 0.2, 0.5, 0.3
    images = model.images_at(torch.full((1000,), distance))
    columns = (
        Certify(sigma=sigma, n=200, alpha=alpha, smoothing=smoothing).run(model, batch_of(images)).columns
    )
    if smoothing == "hard":
        probability = stats.norm.cdf(distance / sigma)
    else:
        # The logits differ by 2 s, s ~ N(d, sigma^2): the soft vote is the logistic function of 2 s.
        probability = stats.norm(distance, sigma).expect(lambda s: expit(2 * s))
    exceeded = (columns["lower_bound"].numpy() > probability).mean()
    assert exceeded <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / 1000)
    assert (columns["radius"].numpy() > sigma * stats.norm.ppf(probability)).mean() == exceeded
    if smoothing == "hard":
        # Clopper-Pearson is tight: it errs about as often as it may.
        assert exceeded > alpha / 2


def test_soft_smoothing_estimates_the_mean_probability():
    model, sigma, distance = Affine(), 0.5, 0.3
    columns = (
        Certify(sigma=sigma, n=20_000, smoothing="soft", inverse_temperature=3.0)
        .run(model, batch_of(model.images_at([distance])))
        .columns
    )
    expected = stats.norm(distance, sigma).expect(lambda s: expit(6 * s))
    assert columns["votes"].item() / 20_000 == pytest.approx(expected, abs=0.01)
    assert expected - 0.03 < columns["lower_bound"].item() < expected


def test_an_image_on_the_boundary_is_abstained_from_and_a_far_one_is_not():
    model = Affine()
    columns = Certify(sigma=0.25, n=500).run(model, batch_of(model.images_at([0.0, 2.0]))).columns
    assert columns["abstained"].tolist() == [True, False]
    assert columns["prediction"].tolist() == [-1, 1]
    assert columns["radius"][0] == 0
    assert columns["radius"][1] == pytest.approx(0.25 * stats.norm.ppf(0.001 ** (1 / 500)), rel=1e-9)
    assert columns["votes"][1] == columns["draws"][1] == 500


def test_votes_are_counted_for_the_guess_and_for_the_label():
    """With two classes the votes for the guess and for the other class, here the label, add up to n."""
    model = Affine()
    labels = torch.zeros(2, dtype=torch.long)
    columns = Certify(sigma=0.25, n=350).run(model, batch_of(model.images_at([0.1, 0.3]), labels)).columns
    assert columns["guess"].tolist() == [1, 1]
    assert (columns["votes"] + columns["votes_true"]).tolist() == [350, 350]
    assert (columns["votes_true"] > 0).all()


@pytest.mark.parametrize("smoothing", ["hard", "soft"])
@pytest.mark.parametrize("noise_batch", [1, 64, 230, 10_000])
def test_no_result_depends_on_the_noise_batch(noise_batch, smoothing):
    images = torch.rand((5, *SHAPE), generator=torch.Generator().manual_seed(3))
    procedure = Certify(sigma=0.25, n=330, n0=20, smoothing=smoothing)
    reference = procedure.run(Regions(), batch_of(images)).columns
    found = replace(procedure, noise_batch=noise_batch).run(Regions(), batch_of(images)).columns
    for name, column in reference.items():
        torch.testing.assert_close(found[name], column, rtol=1e-9, atol=0, msg=name)


def test_a_pass_holds_no_more_noisy_images_than_allowed_and_wastes_none():
    model = Affine()
    for images, draws, limit in [(5, 330, 230), (3, 100, 1000), (7, 250, 64), (4, 1, 3)]:
        model.sizes.clear()
        SmoothedClassifier(model, 0.25, noise_batch=limit).sample(
            torch.zeros(images, *SHAPE), range(images), draws
        )
        assert sum(model.sizes) == images * draws
        assert max(model.sizes) <= limit


def test_a_batch_in_two_halves_gives_what_the_whole_gives():
    """Under equally seeded generators, an image's noise depends on its index and on nothing beside it."""
    images = torch.rand((6, *SHAPE), generator=torch.Generator().manual_seed(4))
    procedure = Certify(sigma=0.3, n=250)
    whole = procedure.run(Regions(), batch_of(images)).columns
    halves = [
        procedure.run(Regions(), batch_of(images[part], indices=torch.arange(6)[part])).columns
        for part in (slice(0, 2), slice(2, 6))
    ]
    for name, column in whole.items():
        assert torch.equal(torch.cat([half[name] for half in halves]), column), name


def test_another_generator_and_another_image_get_other_noise():
    model = Affine()
    images = model.images_at([0.1, 0.1])
    procedure = Certify(sigma=0.25, n=1000, smoothing="soft")
    first = procedure.run(model, batch_of(images, seed=0)).columns["votes"]
    second = procedure.run(model, batch_of(images, seed=1)).columns["votes"]
    assert len({*first.tolist(), *second.tolist()}) == 4


def test_the_guess_and_the_estimate_use_independent_noise():
    """If both saw the same draws, their votes would agree image by image."""
    model = Affine()
    images = model.images_at(torch.full((50,), 0.0))
    guess = Certify(sigma=0.25, n0=BLOCK, n=BLOCK).run(model, batch_of(images)).columns
    # With shared draws the guess would always hold the majority of the votes.
    assert 10 <= (guess["votes"] < BLOCK / 2).sum() <= 40


def test_noise_is_gaussian_with_the_given_deviation_and_unclipped():
    seen = []

    class Recorder(nn.Module):
        def forward(self, images):
            seen.append(images.clone())
            return images.flatten(1)[:, :2]

    SmoothedClassifier(Recorder(), 0.5).sample(torch.full((2, *SHAPE), 0.5), [11, 12], 2000)
    noise = (torch.cat(seen) - 0.5).flatten()
    assert noise.min() < -0.5 and noise.max() > 0.5
    assert stats.kstest(noise.numpy()[:16_000] / 0.5, "norm").pvalue > 0.001
    assert noise.var().item() == pytest.approx(0.25, rel=0.03)
    correlation = torch.corrcoef(noise.view(-1, 8).T) - torch.eye(8)
    assert correlation.abs().max() < 0.08


def test_bounding_the_runner_up_helps_where_the_rest_is_spread_over_many_classes():
    """One class takes 60 %, nine share 40 %. The complement allows all 40 % to one of them."""

    class Lottery(nn.Module):
        def forward(self, images):
            uniform = torch.special.ndtr(images.flatten(1)[:, 0] / 0.25)
            other = 1 + ((uniform - 0.6) / 0.4 * 9).long().clamp(0, 8)
            return nn.functional.one_hot(torch.where(uniform < 0.6, 0, other), 10).float()

    images = torch.zeros(1, *SHAPE)
    radii = {
        (runner_up, smoothing): Certify(sigma=0.25, n=20_000, runner_up=runner_up, smoothing=smoothing)
        .run(Lottery(), batch_of(images))
        .columns
        for runner_up in ("complement", "bounded")
        for smoothing in ("hard", "soft")
    }
    exact = 0.125 * (stats.norm.ppf(0.6) - stats.norm.ppf(0.4 / 9))
    assert radii["bounded", "hard"]["radius"] > 2 * radii["complement", "hard"]["radius"]
    assert exact * 0.9 < radii["bounded", "hard"]["radius"].item() < exact
    assert 0.4 / 9 < radii["bounded", "hard"]["upper_bound"].item() < 0.06
    assert radii["bounded", "soft"]["radius"].item() < exact


def test_skipping_wrong_guesses_changes_no_certificate_of_the_others():
    images = Affine().images_at([0.3, -0.2, 0.05, 0.6, -0.4])
    full = Certify(sigma=0.25, n=400)
    model = Affine()
    complete = full.run(model, batch_of(images)).columns
    spent = sum(model.sizes)
    model.sizes.clear()
    quick = replace(full, skip_wrong_guesses=True).run(model, batch_of(images)).columns
    right = complete["guess"] == 1
    assert right.tolist() == [True, False, True, True, False]
    for name in ("prediction", "radius", "abstained", "votes", "lower_bound", "upper_bound", "draws"):
        assert torch.equal(quick[name][right], complete[name][right]), name
    assert quick["abstained"][~right].all() and (quick["radius"][~right] == 0).all()
    assert quick["draws"].tolist() == [400, 0, 400, 400, 0]
    assert sum(model.sizes) == spent - 2 * 400


def test_skipping_copes_with_a_batch_of_wrong_guesses_only():
    model = Affine()
    columns = (
        Certify(sigma=0.25, n=400, skip_wrong_guesses=True)
        .run(model, batch_of(model.images_at([-1.0])))
        .columns
    )
    assert columns["prediction"].tolist() == [-1]


def test_prediction_abstains_exactly_where_scipys_test_does_not_reject():
    model = Affine()
    columns = (
        SmoothedPrediction(sigma=0.25, n=100, alpha=0.01)
        .run(model, batch_of(model.images_at([0.0, 0.05, 0.1, 0.2, -0.5])))
        .columns
    )
    for votes, rest, p_value, abstained, prediction, guess in zip(
        *(
            columns[name]
            for name in ("votes", "runner_up_votes", "p_value", "abstained", "prediction", "guess")
        ),
        strict=True,
    ):
        assert votes + rest == 100
        assert p_value == pytest.approx(stats.binomtest(int(votes), 100, 0.5).pvalue, rel=1e-9)
        assert abstained == (p_value > 0.01)
        assert prediction == (-1 if abstained else guess)
    assert columns["abstained"].tolist()[0] and columns["prediction"].tolist()[-1] == 0


def test_predictions_are_wrong_no_more_often_than_alpha():
    """At distance 0.02 the smoothed class is 1; a confident 0 is the error that alpha bounds."""
    model = Affine()
    columns = (
        SmoothedPrediction(sigma=0.25, n=50, alpha=0.1)
        .run(model, batch_of(model.images_at(torch.full((2000,), 0.02))))
        .columns
    )
    wrong = (columns["prediction"] == 0).double().mean()
    assert 0 < wrong <= 0.1
    assert (columns["prediction"] == 1).double().mean() > wrong


def test_a_single_draw_at_level_one_is_the_base_prediction_under_noise():
    """At distance d a noisy copy is on the right side with probability Phi(d / sigma)."""
    model = Affine()
    columns = (
        SmoothedPrediction(sigma=0.25, n=1, alpha=1.0)
        .run(model, batch_of(model.images_at(torch.full((4000,), 0.25))))
        .columns
    )
    assert not columns["abstained"].any()
    assert (columns["prediction"] == 1).double().mean().item() == pytest.approx(stats.norm.cdf(1.0), abs=0.02)


def test_procedures_are_found_by_name_and_say_what_they_cost():
    certify = PROCEDURES.parse({"name": "certify", "sigma": "1/4", "n": 1000})
    assert isinstance(certify, Certify) and certify.sigma == 0.25
    assert certify.cost(TASK) == Cost(forward=1100)
    assert PROCEDURES.parse({"name": "smoothed_prediction", "sigma": 0.5, "n": 64}).cost(TASK) == Cost(
        forward=64
    )
