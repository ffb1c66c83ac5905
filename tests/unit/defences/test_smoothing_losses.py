"""The losses of randomized smoothing against numpy and scipy, by properties and by finite differences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import log_softmax, softmax
from torch import nn

from gauntlet.contracts import DEFENCES, Batch, Cost, Progress, Task
from gauntlet.defences.consistency import Consistency
from gauntlet.defences.gaussian import Gaussian
from gauntlet.defences.generalized_consistency import GeneralizedConsistency
from gauntlet.defences.macer import Macer
from gauntlet.defences.stability import Stability
from gauntlet.runtime.seeding import generator_for

TASK = Task((1, 28, 28), 10)

START = Progress(epoch=0, epochs=10, step=0, steps=100)
DRAWS, IMAGES, CLASSES = 4, 6, 5


class Preset(nn.Module):
    """A network that answers with given logits ``[m, N, K]``, whatever it is shown."""

    def __init__(self, logits) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.as_tensor(logits, dtype=torch.float64))

    def forward(self, images):
        assert len(images) == self.logits.shape[0] * self.logits.shape[1]
        return self.logits.flatten(0, 1)


def batch_of(images: int, seed: int = 0, dtype=torch.float64, shape=(1, 3, 3)) -> Batch:
    random = torch.Generator().manual_seed(seed)
    return Batch(
        images=torch.rand((images, *shape), generator=random, dtype=dtype),
        labels=torch.randint(CLASSES, (images,), generator=random),
        indices=torch.arange(images),
        generator=generator_for("cpu", "losses", seed),
    )


@pytest.fixture
def logits():
    """Logits of moderate confidence; about half of the images are classified correctly."""
    batch = batch_of(IMAGES)
    values = np.random.default_rng(0).normal(size=(DRAWS, IMAGES, CLASSES))
    values[:, np.arange(0, IMAGES, 2), batch.labels[::2]] += 2.5
    return values


@pytest.fixture
def labels():
    return batch_of(IMAGES).labels.numpy()


def value_of(defence, logits) -> float:
    return defence.loss(Preset(logits), batch_of(logits.shape[1]), START).value.item()


def cross_entropy(logits, labels):
    """Of ``[..., N, K]``, per draw and image."""
    return -np.take_along_axis(log_softmax(logits, -1), labels.reshape(-1, 1)[None], -1)[..., 0]


def test_gaussian_training_averages_the_cross_entropy_of_the_copies(logits, labels):
    expected = cross_entropy(logits, labels).mean()
    assert value_of(Gaussian(sigma=0.25, draws=DRAWS), logits) == pytest.approx(expected, rel=1e-12)


def test_stability_adds_the_cross_entropy_from_clean_to_noisy_predictions(logits, labels):
    clean, noisy = logits[0], logits[1]
    expected = cross_entropy(clean[None], labels).mean()
    expected += 3 * -(softmax(clean, -1) * log_softmax(noisy, -1)).sum(-1).mean()
    assert value_of(Stability(sigma=0.25, strength=3), logits[:2]) == pytest.approx(expected, rel=1e-12)


def consistency_terms(logits):
    """KL(pbar || p_i) averaged over i and H(pbar), per image, by scipy."""
    probabilities = softmax(logits, -1)
    mean = probabilities.mean(0)
    return stats.entropy(np.broadcast_to(mean, probabilities.shape), probabilities, axis=-1).mean(
        0
    ), stats.entropy(mean, axis=-1)


def test_consistency_equals_its_definition(logits, labels):
    divergence, entropy = consistency_terms(logits)
    expected = (cross_entropy(logits, labels).mean(0) + 20 * divergence + 0.5 * entropy).mean()
    assert value_of(Consistency(sigma=0.25, draws=DRAWS, strength=20), logits) == pytest.approx(
        expected, rel=1e-12
    )


def test_consistency_of_identical_copies_is_cross_entropy_and_entropy(logits, labels):
    same = np.broadcast_to(logits[:1], logits.shape).copy()
    expected = (
        cross_entropy(same[:1], labels).mean() + 0.5 * stats.entropy(softmax(same[0], -1), axis=-1).mean()
    )
    assert value_of(Consistency(sigma=0.25, draws=DRAWS, strength=20), same) == pytest.approx(
        expected, rel=1e-12
    )


def test_generalized_consistency_equals_its_definition(logits, labels):
    divergence, entropy = consistency_terms(logits)
    mean = logits.mean(0)
    correct = mean.argmax(-1) == labels
    assert 0 < correct.sum() < IMAGES
    expected = (cross_entropy(mean[None], labels)[0] + 20 * correct * divergence + 0.5 * entropy).mean()
    defence = GeneralizedConsistency(sigma=0.25, draws=DRAWS, strength=20)
    assert value_of(defence, logits) == pytest.approx(expected, rel=1e-12)


def test_every_choice_of_generalized_consistency_equals_its_definition(labels):
    rng = np.random.default_rng(5)
    logits = 2 * rng.normal(size=(3, IMAGES, CLASSES))
    # Image 0: averaged logits say the label, averaged probabilities do not, so that the two criteria differ.
    logits[:, 0] = -10.0
    logits[0, 0, labels[0]], logits[1:, 0, labels[0]] = 30.0, -2.0
    logits[:, 0, (labels[0] + 1) % CLASSES] = 1.0
    logits[:, 1, labels[1]] += 6
    probabilities, log_p = softmax(logits, -1), log_softmax(logits, -1)
    averages = {"logits": softmax(logits.mean(0), -1), "probabilities": probabilities.mean(0)}
    choices = itertools.product(
        ("logits", "probabilities", "each_copy"), averages, averages, ("all", "correct"), ("all", "correct")
    )
    seen = set()
    for accuracy, center, correct_by, entropy_on, mean_over in choices:
        correct = averages[correct_by].argmax(-1) == labels
        count = IMAGES if mean_over == "all" else correct.sum()
        if accuracy == "each_copy":
            natural = cross_entropy(logits, labels).mean()
        else:
            natural = -np.log(averages[accuracy][np.arange(IMAGES), labels]).mean()
        middle = averages[center]
        divergence = (middle * (np.log(middle) - log_p)).sum(-1).mean(0)
        entropy = stats.entropy(middle, axis=-1)
        spread = entropy.mean() if entropy_on == "all" else (entropy * correct).sum() / count
        expected = natural + 7 * (divergence * correct).sum() / count + 0.9 * spread
        defence = GeneralizedConsistency(
            sigma=0.25,
            draws=3,
            strength=7,
            entropy_weight=0.9,
            accuracy=accuracy,
            center=center,
            correct_by=correct_by,
            entropy_on=entropy_on,
            mean_over=mean_over,
        )
        assert value_of(defence, logits) == pytest.approx(expected, rel=1e-9)
        seen.add(round(expected, 6))
    assert len(seen) == 48  # Every choice matters on these logits.


def test_a_batch_without_correct_images_has_no_divergence_term(labels):
    logits = np.zeros((2, IMAGES, CLASSES))
    logits[:, np.arange(IMAGES), (labels + 1) % CLASSES] = 3.0
    logits[1] *= 2
    strong, weak = (
        GeneralizedConsistency(sigma=0.25, draws=2, strength=strength, mean_over="correct")
        for strength in (50, 0)
    )
    assert value_of(strong, logits) == value_of(weak, logits)


def test_the_generalized_accuracy_term_is_the_looser_one(logits):
    """log-softmax is concave: the loss of averaged logits is at most the average loss of the copies."""
    losses = {
        accuracy: value_of(
            GeneralizedConsistency(sigma=0.25, draws=DRAWS, strength=0, entropy_weight=0, accuracy=accuracy),
            logits,
        )
        for accuracy in ("logits", "probabilities", "each_copy")
    }
    assert losses["logits"] < losses["each_copy"]
    assert losses["probabilities"] < losses["each_copy"]


def macer_by_hand(logits, labels, *, sigma, strength, margin, temperature, complement=False, threshold=1.0):
    p = softmax(logits, -1).mean(0)
    q = softmax(temperature * logits, -1).mean(0)
    total = 0.0
    for image, label in enumerate(labels):
        total -= np.log(p[image, label] + 1e-10)
        if q[image].argmax() != label:
            continue
        first, second = np.sort(q[image])[::-1][:2]
        xi = stats.norm.ppf(first) - stats.norm.ppf(1 - first if complement else second)
        if np.isfinite(xi) and abs(xi) <= margin and first <= threshold:
            total += strength * sigma / 2 * (margin - xi)
    return total / len(labels)


@pytest.mark.parametrize("margin", [8.0, 1.5])
@pytest.mark.parametrize("runner_up", ["second", "complement"])
@pytest.mark.parametrize("threshold", [None, 0.7])
def test_macer_equals_its_definition(logits, labels, margin, runner_up, threshold):
    defence = Macer(
        sigma=0.25,
        draws=DRAWS,
        inverse_temperature=1.0,
        margin=margin,
        runner_up=runner_up,
        threshold=threshold,
    )
    by_hand = {"sigma": 0.25, "strength": 12, "temperature": 1.0, "complement": runner_up == "complement"}
    expected = macer_by_hand(logits, labels, margin=margin, threshold=threshold or 1.0, **by_hand)
    assert value_of(defence, logits) == pytest.approx(expected, rel=1e-9)


def test_macers_threshold_and_margin_leave_images_out(logits, labels):
    """The cases above differ: without threshold and with the wide margin more images are kept."""
    shares = [
        Macer(sigma=0.25, draws=DRAWS, inverse_temperature=1.0, margin=margin, threshold=threshold)
        .loss(Preset(logits), batch_of(IMAGES), START)
        .parts["kept"]
        .item()
        for margin, threshold in [(8.0, None), (1.5, None), (8.0, 0.7)]
    ]
    assert shares[0] > shares[1] > 0 and shares[0] > shares[2] > 0


def test_macer_drops_saturated_images_with_finite_loss_and_gradient():
    """At inverse temperature 16 a confident image has q1 = 1 in floating point: an infinite quantile."""
    labels = batch_of(3).labels
    logits = torch.zeros(DRAWS, 3, CLASSES)
    logits[:, torch.arange(3), labels] = torch.tensor([100.0, 5.0, 0.02])
    network = Preset(logits)
    loss = Macer(sigma=0.25, draws=DRAWS).loss(network, batch_of(3), START)
    loss.value.backward()
    assert torch.isfinite(loss.value) and torch.isfinite(network.logits.grad).all()
    assert loss.parts["kept"].item() == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("probability", "slope"), [(0.9, 5.698), (0.95, 9.696), (0.99, 37.52), (0.999, 297.0)]
)
def test_the_gradient_of_the_robustness_term_is_the_inverse_density(probability, slope):
    """Equation 3.4 with the standard normal's exponent; above the threshold the gradient is zero.

    Two classes with logits (u, 0): p = logistic(u), dp/du = p (1 - p), and xi = 2 Phi^-1(p).
    """
    logit = np.log(probability / (1 - probability))
    gradients = {}
    for threshold in (None, 0.98):
        network = Preset(np.array([[[logit, 0.0]]]))
        batch = batch_of(1)
        batch = Batch(batch.images, torch.zeros(1, dtype=torch.long), batch.indices, batch.generator)
        defence = Macer(sigma=2.0, draws=1, strength=1, inverse_temperature=1.0, threshold=threshold)
        (gradients[threshold],) = torch.autograd.grad(
            defence.loss(network, batch, START).parts["robustness"], network.logits
        )
    found = -gradients[None][0, 0, 0].item() / (probability * (1 - probability)) / 2
    assert found == pytest.approx(slope, rel=2e-3)
    assert (gradients[0.98].abs().sum() == 0) == (probability > 0.98)


DEFENCES_WITH_GRADIENTS = [
    Gaussian(sigma=0.3, draws=2),
    Stability(sigma=0.3),
    Macer(sigma=0.3, draws=3, inverse_temperature=2.0),
    Macer(sigma=0.3, draws=3, inverse_temperature=2.0, runner_up="complement", threshold=0.99),
    Consistency(sigma=0.3, draws=3, strength=5),
    GeneralizedConsistency(sigma=0.3, draws=3, strength=5),
    GeneralizedConsistency(
        sigma=0.3, draws=3, strength=5, center="logits", entropy_on="correct", mean_over="correct"
    ),
]


@pytest.mark.parametrize("defence", DEFENCES_WITH_GRADIENTS, ids=lambda defence: defence.name)
def test_gradients_agree_with_finite_differences(defence):
    """Through the network's parameters in float64; the noise is the same at every evaluation."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(9, 7), nn.Tanh(), nn.Linear(7, CLASSES)).double()
    names = [name for name, _ in network.named_parameters()]

    def loss(*values):
        model = Functional(network, dict(zip(names, values, strict=True)))
        return defence.loss(model, batch_of(8, seed=2), START).value

    parameters = tuple(value.detach().clone().requires_grad_() for value in network.parameters())
    assert torch.autograd.gradcheck(loss, parameters, eps=1e-6, atol=1e-6, rtol=1e-4)
    if defence.name in ("macer", "generalized_consistency"):
        # Not a check of the accuracy term alone: the restricted term is there.
        parts = defence.loss(network, batch_of(8, seed=2), START).parts
        assert 0 < parts["kept" if defence.name == "macer" else "correct"] < 1


class Functional(nn.Module):
    """A network with some of its parameters replaced by given tensors."""

    def __init__(self, network, values) -> None:
        super().__init__()
        self.network, self.values = network, values

    def forward(self, images):
        return torch.func.functional_call(self.network, self.values, (images,))


@pytest.mark.parametrize("defence", DEFENCES_WITH_GRADIENTS[:5], ids=lambda defence: defence.name)
def test_copies_carry_gaussian_noise_of_the_given_deviation_unclipped(defence):
    seen = []

    class Recorder(nn.Module):
        def forward(self, images):
            seen.append(images)
            return images.flatten(1)[:, :CLASSES]

    batch = batch_of(400, shape=(1, 4, 4))
    defence.loss(Recorder(), batch, START)
    (copies,) = seen
    copies = copies.unflatten(0, (-1, 400))
    noise = copies[1:] - batch.images if defence.name == "stability" else copies - batch.images
    assert stats.kstest(noise.flatten()[:6400].numpy() / 0.3, "norm").pvalue > 0.001
    assert copies.min() < 0 and copies.max() > 1
    assert torch.equal(copies[0], batch.images) == (defence.name == "stability")


def test_half_precision_logits_are_widened_before_the_loss():
    class Half(nn.Module):
        def forward(self, images):
            return images.flatten(1)[:, :CLASSES].bfloat16()

    loss = Consistency(sigma=0.25, strength=10).loss(Half(), batch_of(8, dtype=torch.float32), START)
    assert loss.value.dtype == torch.float32


@pytest.mark.parametrize(
    ("specification", "passes", "updates"),
    [
        ({"name": "gaussian", "sigma": "1/4"}, 1, 1),
        ({"name": "stability", "sigma": 0.25}, 2, 2),
        ({"name": "macer", "sigma": 0.25, "draws": 8, "threshold": 0.99}, 8, 8),
        ({"name": "consistency", "sigma": 0.25, "draws": 4, "strength": 20}, 4, 4),
        ({"name": "generalized_consistency", "sigma": 0.25, "strength": 20}, 4, 4),
        ({"name": "smooth_adv", "sigma": 0.25, "eps": "127/256", "steps": 2, "draws": 8}, 24, 8),
        (
            {
                "name": "each_member",
                "defence": {"name": "consistency", "sigma": 0.25, "draws": 4, "strength": 9},
            },
            4,
            4,
        ),
    ],
)
def test_defences_are_found_by_name_survive_a_round_trip_and_say_what_they_cost(
    specification, passes, updates
):
    defence = DEFENCES.parse(specification)
    assert DEFENCES.parse(DEFENCES.dump(defence)) == defence
    assert defence.cost(TASK) == Cost(passes, passes, updates)
