"""The attacks of AutoAttack (Croce and Hein 2020), from the library pyautoattack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from gauntlet.attacks.base import FixedBudgetAttack, MinimumNormAttack, Perturbed, Smallest
from gauntlet.attacks.criterion import refuse_targets, unmet
from gauntlet.attacks.geometry.norms import lengths, project_onto_ball_and_box
from gauntlet.attacks.geometry.sizes import PerturbationNorm, where_images
from gauntlet.attacks.libraries.network import LibraryNetwork, library_seed, mean_per_image
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, Task
from gauntlet.setting_types import NonNegativeInt, Norm, PositiveInt, Radius, Share

LIBRARY_NORM = {"linf": "Linf", "l2": "L2", "l1": "L1"}


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class Fab(MinimumNormAttack):
    """Fast adaptive boundary attack: a minimum-norm attack that projects on linearized boundaries.

    Settings:
        norm: what is minimized.
        steps: iterations of one run.
        restarts: runs; all but the first start at a random point.
        start_radius: radius of the random starts; a start lies at half of it, at most.
        starts_within: what bounds the random starts besides: nothing (``radius``), as the library forgets a
            run at its end, or the best size so far (``best``), as matyasko2020, section 5.4, has it.
        first_start: the image, or a random point, which shows the spread over starts in a single run.
        targeted: whether each run aims at one class, for each of the ``target_classes`` likeliest wrong ones,
            which needs one backward pass per iteration instead of one per class.
        target_classes: classes aimed at, if targeted.
        largest_share: alpha_max, the largest share of the way back to the image's own projection.
        overshoot: eta.
        backward: beta, the share of the way from the image kept after a success.
        checkpoints: numbers of restarts after which the smallest size is recorded, in a column
            ``<norm>_after_<restarts>``.

    Source: Croce and Hein 2019; settings of matyasko2020, section 5.4.
    """

    name: ClassVar[str] = "fab"
    norm: Norm
    steps: PositiveInt = 100
    restarts: PositiveInt = 1
    start_radius: Radius
    starts_within: Literal["radius", "best"] = "radius"
    first_start: Literal["image", "random"] = "image"
    targeted: bool = False
    target_classes: PositiveInt = 9
    largest_share: Share = 0.1
    overshoot: Radius = 1.05
    backward: Share = 0.9
    checkpoints: tuple[NonNegativeInt, ...] = ()

    @property
    def minimized(self) -> PerturbationNorm:
        """The norm of the settings."""
        return self.norm

    def cost(self, task: Task) -> Cost:
        """Two passes forward and, for ten classes, ten back per untargeted iteration; one per targeted."""
        runs = self.restarts * (self.target_classes if self.targeted else 1)
        return Cost(
            2 + runs * (2 * self.steps + 2), runs * self.steps * (1 if self.targeted else task.classes)
        )

    def minimize(self, model: Classifier, batch: Batch) -> Smallest:
        """Keep the smallest perturbation of all runs."""
        refuse_targets(batch, "FAB")
        network, clean, labels = LibraryNetwork(model), batch.images, batch.labels
        targets = range(2, self.target_classes + 2) if self.targeted else (0,)
        best = clean
        sizes = torch.full((len(clean),), torch.inf, device=clean.device)
        after = {0: sizes}
        with library_seed(batch.generator), torch.no_grad():
            attack = _boundary_attack(self, network, clean.device)
            for restart in range(self.restarts if len(clean) else 0):
                at_random = restart > 0 or self.first_start == "random"
                if self.starts_within == "best":
                    attack.eps = sizes.clamp(max=self.start_radius)
                for target in targets:
                    # The library counts classes from the likeliest, the true one first.
                    attack.target_class = target
                    found = attack.attack_single_run(clean, labels, at_random, self.targeted)
                    wrong = network(found).argmax(1) != labels
                    size = torch.where(wrong, lengths(found - clean, self.norm), torch.inf)
                    best, sizes = where_images(size < sizes, found, best), torch.minimum(size, sizes)
                after[restart + 1] = sizes
        return Smallest(
            best,
            iterations=torch.full_like(labels, self.restarts * self.steps * len(targets)),
            queries=mean_per_image(network.forward_images, labels),
            columns={"backward_passes": mean_per_image(network.backward_images, labels)},
            after={number: after[min(number, max(after))] for number in self.checkpoints},
        )


def _boundary_attack(settings: Fab, network: LibraryNetwork, device: torch.device) -> Any:
    from pyautoattack.fab_pt import FABAttack_PT

    return FABAttack_PT(
        network,
        norm=LIBRARY_NORM[settings.norm],
        n_iter=settings.steps,
        eps=settings.start_radius,
        alpha_max=settings.largest_share,
        eta=settings.overshoot,
        beta=settings.backward,
        device=device,
    )


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class Apgd(FixedBudgetAttack):
    """Projected gradient descent that halves its step size where progress stalls.

    Settings:
        norm: the ball.
        steps: iterations of one run.
        restarts: runs from random starts; images that are fooled leave.
        loss: cross_entropy, dlr (difference of logits ratio), or dlr_targeted, which aims at each of the
            ``target_classes`` likeliest wrong classes in turn (for networks of at least four classes).
        target_classes: classes aimed at.

    Source: Croce and Hein 2020.
    """

    name: ClassVar[str] = "apgd"
    norm: Norm
    steps: PositiveInt = 100
    restarts: PositiveInt = 1
    loss: Literal["cross_entropy", "dlr", "dlr_targeted"] = "cross_entropy"
    target_classes: PositiveInt = 9

    @property
    def ball(self) -> Norm:
        """The norm of the settings."""
        return self.norm

    def cost(self, task: Task) -> Cost:
        """One pass either way per iteration and start."""
        runs = self.restarts * (self.target_classes if self.loss == "dlr_targeted" else 1)
        return Cost(2 + runs * (self.steps + 2), runs * (self.steps + 1))

    def find(self, model: Classifier, batch: Batch) -> Perturbed:
        """Return the adversarial images found; images that none was found for stay clean."""
        refuse_targets(batch, "APGD")
        from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted

        network = LibraryNetwork(model)
        with library_seed(batch.generator) as seed:
            common = {
                "n_iter": self.steps,
                "norm": LIBRARY_NORM[self.norm],
                "n_restarts": self.restarts,
                "eps": self.eps,
                "seed": seed,
                "device": batch.images.device,
            }
            if self.loss == "dlr_targeted":
                attack = APGDAttack_targeted(network, n_target_classes=self.target_classes, **common)
            else:
                attack = APGDAttack(network, loss="ce" if self.loss == "cross_entropy" else "dlr", **common)
            images = attack.perturb(batch.images, batch.labels)
        return _inside_ball(network, batch, images, self.norm, self.eps)


def _inside_ball(network: LibraryNetwork, batch: Batch, images: Tensor, norm: Norm, eps: float) -> Perturbed:
    """Undo the rounding by which the library's images may leave the ball or the box."""
    images = project_onto_ball_and_box(images.detach(), batch.images, norm, eps)
    backward = mean_per_image(network.backward_images, batch.labels)
    forward = mean_per_image(network.forward_images, batch.labels)
    return Perturbed(images, backward, forward, {"backward_passes": backward})


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class AutoAttack(FixedBudgetAttack):
    """AutoAttack in its standard version: four attacks in turn on the images that withstand so far.

    APGD on cross-entropy, APGD on the targeted DLR loss, targeted FAB, and Square with 5,000 queries.

    Settings:
        norm: the ball.

    Columns: ``broken_by``, the number of the attack that succeeded first (1 to 4; 0 for images that are
    misclassified already, -1 for images that withstand all).

    Source: Croce and Hein 2020.
    """

    name: ClassVar[str] = "auto_attack"
    norm: Norm

    @property
    def ball(self) -> Norm:
        """The norm of the settings."""
        return self.norm

    def cost(self, task: Task) -> Cost:
        """All four on every image."""
        apgd = Apgd(norm=self.norm, eps=self.eps).cost(task)
        targeted = Apgd(norm=self.norm, eps=self.eps, loss="dlr_targeted").cost(task)
        fab = Fab(norm=self.norm, start_radius=self.eps, targeted=True).cost(task)
        return apgd + targeted + fab + Cost(forward=5000)

    def find(self, model: Classifier, batch: Batch) -> Perturbed:
        """Return the first adversarial image found for each; images that withstand all stay clean."""
        refuse_targets(batch, "AutoAttack")
        robust = unmet(model, batch)
        images = batch.images.clone()
        broken_by = torch.zeros_like(batch.labels).index_fill(0, robust, -1)
        iterations, queries = torch.zeros_like(batch.labels), torch.ones_like(batch.labels)
        stages = (
            Apgd(norm=self.norm, eps=self.eps).perturb,
            Apgd(norm=self.norm, eps=self.eps, loss="dlr_targeted").perturb,
            Fab(norm=self.norm, start_radius=self.eps, targeted=True).perturb,
            self._square,
        )
        for number, stage in enumerate(stages, 1):
            if len(robust) == 0:
                break
            part = batch.select(robust)
            found = stage(model, part)
            iterations[robust] += found.iterations
            queries[robust] += found.queries
            with torch.no_grad():
                fooled = model(found.images).argmax(1) != part.labels
            fooled &= lengths(found.images - part.images, self.norm) <= self.eps * (1 + 1e-6)
            images[robust[fooled]] = found.images[fooled]
            broken_by[robust[fooled]] = number
            robust = robust[~fooled]
        return Perturbed(images, iterations, queries, {"broken_by": broken_by})

    def _square(self, model: Classifier, batch: Batch) -> Perturbed:
        from pyautoattack.square import SquareAttack

        network = LibraryNetwork(model)
        with library_seed(batch.generator) as seed, torch.no_grad():
            attack = SquareAttack(
                network,
                norm=LIBRARY_NORM[self.norm],
                n_queries=5000,
                eps=self.eps,
                seed=seed,
                resc_schedule=False,
                device=batch.images.device,
            )
            images = attack.perturb(batch.images, batch.labels)
        return _inside_ball(network, batch, images, self.norm, self.eps)
