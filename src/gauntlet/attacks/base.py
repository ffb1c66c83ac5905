"""Attacks: one way to run, columns measured in one place, and a base for each of the two white-box families.

The criterion of success is the batch's. An image that meets it as it is counts as a success at distance 0.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from gauntlet.attacks.criterion import recheck_adversarial, unmet
from gauntlet.attacks.geometry.sizes import PerturbationNorm, changed_entries, changed_pixels
from gauntlet.contracts import Batch, Classifier, LabelledImages, Outcome, Procedure, ThreatModel
from gauntlet.setting_types import Norm, Radius


@dataclass(frozen=True)
class Perturbed:
    """The images an attack ends with.

    Attributes:
        images: float32 ``[N, C, H, W]`` in [0, 1].
        iterations: steps spent on each image, int64 ``[N]``.
        queries: forward passes spent on each image, int64 ``[N]``.
        columns: further columns, each ``[N]``.
    """

    images: Tensor
    iterations: Tensor
    queries: Tensor
    columns: dict[str, Tensor] = field(default_factory=dict)


class Attack(Procedure):
    """A procedure that perturbs images until they meet the batch's criterion; ``run`` measures what came of it."""

    @property
    @abstractmethod
    def threat_model(self) -> ThreatModel:
        """Family, knowledge, norm and radius."""

    @abstractmethod
    def find(self, model: Classifier, batch: Batch) -> Perturbed:
        """Return the perturbed images of a batch that has some, inside the image box and the attack's ball."""

    def aim(self, model: Classifier, batch: Batch) -> Batch:
        """Return the batch with the criterion that the attack pursues: its own, unless a setting says otherwise."""
        return batch

    def perturb(self, model: Classifier, batch: Batch) -> Perturbed:
        """Return the perturbed images; an empty batch never reaches the network."""
        if len(batch) == 0:
            return Perturbed(batch.images, batch.labels, batch.labels)
        return self.find(model, self.aim(model, batch))

    def __call__(
        self,
        model: Classifier,
        images: Tensor,
        labels: Tensor,
        *,
        targets: Tensor | None = None,
        confidence: float = 0.0,
        references: LabelledImages | None = None,
        seed: int = 0,
    ) -> Outcome:
        """Attack images of any origin.

        Args:
            model: from images in [0, 1] to logits, in eval mode.
            images: float32 ``[N, C, H, W]`` in [0, 1].
            labels: true classes ``[N]``.
            targets: classes to reach, ``[N]``; by default any wrong class is a success.
            confidence: by how much the logit of a class that counts must exceed all that do not.
            references: training images, for attacks that start from images of other classes.
            seed: of everything random.

        Returns:
            Columns with one value per image (``success``, ``prediction``, distances, ...) and the perturbed images.
        """
        generator = torch.Generator(images.device).manual_seed(seed)
        indices = torch.arange(len(images), device=images.device)
        return self.run(model, Batch(images, labels, indices, generator, targets, references, confidence))

    def run(self, model: Classifier, batch: Batch) -> Outcome:
        """Perturb the batch and record the columns that all attacks share."""
        if len(batch) == 0:
            logits, perturbed = batch.images.new_zeros(0, 1), self.perturb(model, batch)
        else:
            batch = self.aim(model, batch)
            perturbed = self.find(model, batch)
            with torch.no_grad():
                logits = model(perturbed.images)
        columns = {
            "success": batch.criterion.met_by(logits),
            **prediction_columns(logits, batch.labels),
            **distances(batch.images, perturbed.images),
            "queries": perturbed.queries,
            "iterations": perturbed.iterations,
            **perturbed.columns,
        }
        return Outcome(columns, perturbed.images)


@dataclass(frozen=True, kw_only=True)
class FixedBudgetAttack(Attack):
    """A white-box attack that stays in a ball.

    Settings:
        eps: radius of the ball in pixel scale.
    """

    eps: Radius

    @property
    @abstractmethod
    def ball(self) -> Norm:
        """The norm of the ball."""

    @property
    def threat_model(self) -> ThreatModel:
        """White-box, in the ball."""
        return ThreatModel("fixed_budget", "white-box", self.ball, self.eps, self.ball)


@dataclass(frozen=True)
class Smallest:
    """Smallest perturbations found for the n images that a minimum-norm attack was given.

    Attributes:
        images: the nearest image found that meets the criterion, the clean one if there is none, ``[n, C, H, W]``.
        iterations: steps spent on each image, int64 ``[n]``.
        queries: forward passes spent on each image, int64 ``[n]``.
        columns: further columns, each ``[n]``; images that were not attacked have 0 there.
        after: smallest size so far after numbers of restarts (or whatever the attack counts), ``[n]`` each.
        constants: columns with one value for the whole batch.
    """

    images: Tensor
    iterations: Tensor
    queries: Tensor
    columns: dict[str, Tensor] = field(default_factory=dict)
    after: dict[int, Tensor] = field(default_factory=dict)
    constants: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MinimumNormAttack(Attack):
    """A white-box attack that looks for the smallest perturbation.

    An image that meets the criterion is not attacked; one for which nothing is found stays as it was. What
    is found is checked once more in the batch as a whole.

    Columns: ``<norm>_after_<number>``, the smallest size after so many restarts, where the attack has
    checkpoints; ``pixels``, the changed pixels, where it minimizes l0 (``l0`` counts changed entries).
    """

    @property
    @abstractmethod
    def minimized(self) -> PerturbationNorm:
        """The norm that is minimized."""

    @abstractmethod
    def minimize(self, model: Classifier, batch: Batch) -> Smallest:
        """Attack images that do not meet the criterion; without any the network is sent nothing."""

    @property
    def threat_model(self) -> ThreatModel:
        """White-box, as small as possible."""
        column = "pixels" if self.minimized == "l0" else self.minimized
        return ThreatModel("minimum_norm", "white-box", self.minimized, None, column)

    def find(self, model: Classifier, batch: Batch) -> Perturbed:
        """Attack what does not meet the criterion, check what was found, and spread it over the batch."""
        attacked = unmet(model, batch)
        found = self.minimize(model, batch.select(attacked))

        def spread(values: Tensor) -> Tensor:
            return values.new_zeros(len(batch)).index_copy(0, attacked, values)

        images = recheck_adversarial(model, batch, batch.images.index_copy(0, attacked, found.images))
        columns = {name: spread(values) for name, values in found.columns.items()}
        columns |= {
            f"{self.minimized}_after_{number}": spread(sizes) for number, sizes in found.after.items()
        }
        columns |= {
            name: torch.full((len(batch),), value, device=images.device)
            for name, value in found.constants.items()
        }
        if self.minimized == "l0":
            columns["pixels"] = changed_pixels(images - batch.images)
        return Perturbed(images, spread(found.iterations), spread(found.queries) + 1, columns)


def prediction_columns(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Return how the network judges each image.

    Args:
        logits: ``[N, K]``.
        labels: true classes ``[N]``.

    Returns:
        ``prediction``: the most likely class; ``rank``: how many classes are more likely than the true one,
        so that top-k accuracy is ``rank < k`` (ties count against the true class, unless it is the
        prediction); ``cross_entropy``: loss of the true class in nats, computed in float64, so that it
        stays finite; ``confidence``: float32 softmax probability of the true class, which can be exactly 0;
        ``prediction_confidence``: that of the predicted class.
    """
    prediction = logits.argmax(1)
    true = logits.gather(1, labels[:, None])
    probabilities = logits.float().softmax(1)
    rank = (logits >= true).sum(1) - 1
    return {
        "prediction": prediction,
        "rank": torch.where(prediction == labels, torch.zeros_like(rank), rank),
        "cross_entropy": F.cross_entropy(logits.double(), labels, reduction="none"),
        "confidence": probabilities.gather(1, labels[:, None]).squeeze(1),
        "prediction_confidence": probabilities.amax(1),
    }


def distances(clean: Tensor, perturbed: Tensor) -> dict[str, Tensor]:
    """Measure each perturbation ``[N, C, H, W]`` in linf, l2, l1 and l0 (beyond residue), over all of its entries."""
    difference = (perturbed - clean).flatten(1)
    absolute = difference.abs()
    return {
        "linf": absolute.amax(1),
        "l2": difference.norm(dim=1),
        "l1": absolute.sum(1),
        "l0": changed_entries(perturbed - clean),
    }
