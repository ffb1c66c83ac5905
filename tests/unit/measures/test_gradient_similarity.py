from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gauntlet.attacks.fixed_budget.pgd import Pgd
from gauntlet.attacks.fixed_budget.scheduled_ascent import ScheduledAscent
from gauntlet.contracts import PROCEDURES, Task
from gauntlet.errors import ConfigurationError
from gauntlet.measures import gradient_similarity
from gauntlet.measures.gradient_similarity import GradientSimilarity, angle_degrees, cosine_column

TASK = Task((1, 28, 28), 10)

WEAK = ScheduledAscent(norm="linf", eps=0.1, steps=1, decay="harmonic")
STRONG = ScheduledAscent(norm="linf", eps=0.1, steps=8, decay="harmonic")


def parameter_gradient(network, image, label, scope):
    """The gradient of one image's loss, by the ordinary backward pass."""
    network.zero_grad()
    F.cross_entropy(network(image[None]), label[None]).backward()
    gradients = [parameter.grad.flatten() for parameter in network.parameters()]
    return torch.cat(gradients if scope == "all" else gradients[:1]).clone()


@pytest.mark.parametrize("scope", ["all", "first_tensor"])
def test_cosines_equal_those_of_single_backward_passes(scope, network, batch):
    found = GradientSimilarity(variants={"weak": WEAK, "strong": STRONG}).run(network, batch).columns
    images = {
        "clean": batch.images,
        "weak": WEAK.run(network, batch).images,
        "strong": STRONG.run(network, batch).images,
    }
    for first, second in (("clean", "weak"), ("clean", "strong"), ("weak", "strong")):
        expected = torch.stack(
            [
                F.cosine_similarity(
                    parameter_gradient(network, images[first][n], batch.labels[n], scope),
                    parameter_gradient(network, images[second][n], batch.labels[n], scope),
                    dim=0,
                )
                for n in range(len(batch))
            ]
        )
        cosines = found[cosine_column(scope, first, second)]
        torch.testing.assert_close(cosines.float(), expected, rtol=1e-4, atol=1e-5)


def test_there_is_one_column_per_pair_and_scope(network, batch):
    variants = dict.fromkeys(("gauss", "unif", "steps-1"), WEAK)
    both = GradientSimilarity(variants=variants).run(network, batch).columns
    assert len(both) == 2 * 6
    only = GradientSimilarity(variants=variants, scopes=("first_tensor",)).run(network, batch).columns
    assert set(only) == {name for name in both if name.startswith("cosine_first_tensor_")}
    for name, column in only.items():
        torch.testing.assert_close(column, both[name])


def test_cosine_of_a_variant_with_itself_is_one(network, batch):
    found = GradientSimilarity(variants={"a": WEAK, "b": WEAK}).run(network, batch).columns
    torch.testing.assert_close(found["cosine_all_a_b"], torch.ones(5, dtype=torch.float64))


def test_result_does_not_depend_on_how_the_images_are_cut_into_parts(network, batch, monkeypatch):
    measure = GradientSimilarity(variants={"weak": WEAK, "strong": STRONG})
    whole = measure.run(network, batch).columns
    for limit in ("GRADIENT_BYTES", "PASSES"):
        with monkeypatch.context() as patch:
            patch.setattr(gradient_similarity, limit, 1)
            parts = measure.run(network, batch).columns
        for name, column in whole.items():
            torch.testing.assert_close(parts[name], column, rtol=1e-5, atol=1e-6)


def test_parameters_and_running_statistics_stay_untouched(network, batch):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    GradientSimilarity(variants={"weak": WEAK}).run(network, batch)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())


class Certain(nn.Module):
    """Two logits 0 and -height * mean pixel: class 0 is certain for any but the darkest images."""

    def __init__(self) -> None:
        super().__init__()
        self.height = nn.Parameter(torch.tensor([200.0]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        falling = -self.height * images.flatten(1).mean(1)
        return torch.stack([torch.zeros_like(falling), falling], 1)


def test_gradients_at_certain_images_are_compared_where_float32_would_lose_them(batch):
    """The loss is about exp(-40), far below the resolution of a float32 probability of 1."""
    batch = replace(batch, images=torch.full((2, 1, 4, 4), 0.2), labels=torch.zeros(2, dtype=torch.int64))
    shift = Pgd(norm="linf", eps=0.05)
    found = GradientSimilarity(variants={"shift": shift}).run(Certain(), batch).columns
    torch.testing.assert_close(found["cosine_all_clean_shift"], torch.ones(2, dtype=torch.float64))


def test_a_zero_or_lost_gradient_has_no_cosine(batch):
    """With the float32 softmax a certain image has gradient zero, and an image of confidence 0 has none."""
    labels = torch.tensor([0, 1])
    batch = replace(batch, images=torch.full((2, 1, 4, 4), 0.9), labels=labels)
    tiny = Pgd(norm="linf", eps=1e-6)
    found = GradientSimilarity(variants={"tiny": tiny}, loss="softmax_log").run(Certain(), batch).columns
    assert found["cosine_all_clean_tiny"].isnan().all()


def test_angles_are_clipped_as_in_the_released_code():
    angles = angle_degrees(np.array([0.0, 1.0, -1.0, 0.5, np.nan]))
    np.testing.assert_allclose(angles[[0, 3]], [90, 60])
    assert angles[1] == pytest.approx(0.0810, abs=1e-4)
    assert angles[2] == pytest.approx(180 - 0.0810, abs=1e-4)
    assert np.isnan(angles[4])


def test_variants_are_read_from_a_configuration_in_their_order():
    attack = {"name": "scheduled_ascent", "norm": "linf", "eps": "3/255", "steps": 1, "decay": "harmonic"}
    measure = PROCEDURES.parse(
        {"name": "gradient_similarity", "variants": {"steps-16": {**attack, "steps": 16}, "steps-1": attack}}
    )
    assert list(measure.variants) == ["steps-16", "steps-1"]
    assert PROCEDURES.parse(PROCEDURES.dump(measure)) == measure
    assert (measure.cost(TASK).forward, measure.cost(TASK).backward) == (17 + 2 + 3, 17 + 3)


@pytest.mark.parametrize("variants", [{"clean": WEAK}, {"other": PROCEDURES.parse({"name": "clean"})}, {}])
def test_unusable_variants_are_refused(variants):
    with pytest.raises(ConfigurationError):
        PROCEDURES.parse({"name": "gradient_similarity", "variants": variants})
