"""Primal-dual gradient descent attacks: the weight of the norm is learned while the image is attacked.

One player moves the perturbation r to lower ``weight * ||r|| + max(0, margin)``; the other raises the weight
while the image is misclassified and lowers it while it is not, so that r settles on the decision boundary.

Source: matyasko2020, chapter 5, Algorithms 2 and 3, eqs. 5.1-5.10. The signs are those under which the
players want what the text says they want: the margin is lowered, and the weight multiplies the norm.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from gauntlet.attacks.base import MinimumNormAttack, Smallest
from gauntlet.attacks.geometry.norms import lengths, per_image
from gauntlet.attacks.geometry.proximal import prox_l1, prox_l2, prox_linf, prox_pixel_l0, prox_pixel_l0_exact
from gauntlet.attacks.geometry.sizes import PerturbationNorm, perturbation_sizes, where_images
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, Task
from gauntlet.setting_types import NonNegativeInt, PositiveInt, Radius, Share

Move = Callable[[Tensor, Tensor, Tensor, float], Tensor]
"""The player of r: (perturbation, gradient of the hinge, weight ``[N]``, step size) to a new perturbation."""

SIDE_BY_SIDE = 1024
"""Games (an image in one restart) that share a pass, at most, unless the batch itself is larger."""


@dataclass
class Best:
    """The smallest adversarial perturbation of each game so far."""

    points: Tensor
    sizes: Tensor
    weights: Tensor

    @staticmethod
    def none_yet(images: Tensor) -> Best:
        """Start with the clean images, at an infinite size that any adversarial point beats."""
        sizes = torch.full((len(images),), torch.inf, device=images.device)
        return Best(images, sizes, torch.zeros_like(sizes))

    def update(self, wins: Tensor, points: Tensor, sizes: Tensor, weights: Tensor) -> None:
        """Take over the points of the games that ``wins`` marks and that got smaller."""
        better = wins & (sizes < self.sizes)
        self.points = where_images(better, points, self.points)
        self.sizes = torch.where(better, sizes, self.sizes)
        self.weights = torch.where(better, weights, self.weights)


class Dual:
    """The player of the weight: ascent on the logarithm of (lambda_1, lambda_2), a pair that sums to one.

    ``weight`` is the moving average of lambda_1 / lambda_2, the weight of the norm against the constraint.
    """

    floor = math.log(1e-6)

    def __init__(self, weight: Tensor, step_size: float, averaging: float) -> None:
        """Start with the given weight of each game, ``[N]``."""
        self.weight = weight
        self._log = torch.stack([weight.log() - weight.log1p(), -weight.log1p()])
        self._step_size, self._averaging = step_size, averaging

    def update(self, correct: Tensor) -> None:
        """Raise lambda_2 where the image is still classified correctly, lower it where it is not."""
        self._log[1] += torch.where(correct, self._step_size, -self._step_size)
        self._log = (self._log - self._log.logsumexp(0)).clamp(min=self.floor)
        weight = (self._log[0] - self._log[1]).exp()
        self.weight = self._averaging * self.weight + (1 - self._averaging) * weight


@dataclass(frozen=True, kw_only=True)
class PrimalDual(MinimumNormAttack):
    """The game that both attacks play; they differ in how r moves.

    Settings:
        steps: iterations T of one run; all of them are spent.
        step_size: first learning rate of r, on pixel scale; it falls linearly to one percent.
        step_sizes: candidates for ``step_size``, if any. Each makes one run, and the one that fools most
            images of the batch, and among these the one with the smallest mean, is taken: its run is the
            first restart. Columns ``step_size`` (the choice) and ``<norm>_at_<candidate>``.
        restarts: runs from random starts; the smallest perturbation counts.
        start_radius: each entry of the start is uniform in [-start_radius, start_radius].
        dual_step_size: learning rate of the logarithm of the dual variables.
        initial_weight: first weight of the norm.
        averaging: share of the old value in the moving average of the weight.
        updates: whether the weight sees the perturbation before its step (simultaneous, as Algorithms 2
            and 3 print it) or after it (alternating).
        fine_tune: whether one more run starts at the best perturbation with its weight and the step size
            falling from one percent to one thousandth.
        checkpoints: numbers of restarts after which the smallest size is recorded, in a column
            ``<norm>_after_<restarts>``.
    """

    steps: PositiveInt = 500
    step_size: Radius = 0.1
    step_sizes: tuple[Radius, ...] = ()
    restarts: PositiveInt = 1
    start_radius: Radius = 0.5
    dual_step_size: float = 0.1
    initial_weight: float = 0.01
    averaging: Share = 0.9
    updates: Literal["simultaneous", "alternating"] = "simultaneous"
    fine_tune: bool = False
    checkpoints: tuple[NonNegativeInt, ...] = ()

    @abstractmethod
    def mover(self, perturbation: Tensor) -> Move:
        """Return a fresh player of r for perturbations of this shape."""

    def cost(self, task: Task) -> Cost:
        """One forward and one backward pass per step, and one forward pass to judge the last point."""
        runs = self._runs
        return Cost(forward=runs * (self.steps + 1) + 1, backward=runs * self.steps)

    @property
    def _runs(self) -> int:
        return self.restarts + self.fine_tune + max(0, len(self.step_sizes) - 1)

    def minimize(self, model: Classifier, batch: Batch) -> Smallest:
        """Play all restarts."""
        best = Best.none_yet(batch.images)
        after, rate, tried = {0: best.sizes}, self.step_size, dict[float, Tensor]()
        if self.step_sizes:
            rate, best, tried = self._choose(model, batch)
            after[1] = best.sizes
        done = len(after) - 1
        while len(batch) and done < self.restarts:
            together = min(self.restarts - done, max(1, SIDE_BY_SIDE // len(batch)))
            for number, run in enumerate(self._restart(model, batch, together, rate), done + 1):
                best.update(run.sizes < torch.inf, run.points, run.sizes, run.weights)
                after[number] = best.sizes
            done += together
        if self.fine_tune and len(batch):
            found = self._fine_tune(model, batch, best, rate)
            best.update(found.sizes < torch.inf, found.points, found.sizes, found.weights)
        runs = torch.full_like(batch.labels, self._runs)
        return Smallest(
            best.points,
            iterations=runs * self.steps,
            queries=runs * (self.steps + 1),
            columns={f"{self.minimized}_at_{candidate:g}": sizes for candidate, sizes in tried.items()},
            after={number: after[min(number, max(after))] for number in self.checkpoints},
            constants={"step_size": rate} if self.step_sizes else {},
        )

    def _choose(self, model: Classifier, batch: Batch) -> tuple[float, Best, dict[float, Tensor]]:
        """Run once with every candidate; returns the best step size, its run and the sizes of all."""
        if len(batch) == 0:
            nobody = Best.none_yet(batch.images)
            return self.step_sizes[0], nobody, dict.fromkeys(self.step_sizes, nobody.sizes)
        runs = {candidate: self._restart(model, batch, 1, candidate)[0] for candidate in self.step_sizes}

        def fails_and_mean(candidate: float) -> tuple[int, float]:
            found = runs[candidate].sizes.isfinite()
            return int((~found).sum()), float(runs[candidate].sizes[found].mean())

        chosen = min(runs, key=fails_and_mean)
        return chosen, runs[chosen], {candidate: run.sizes for candidate, run in runs.items()}

    def _restart(self, model: Classifier, batch: Batch, count: int, rate: float) -> list[Best]:
        """Play ``count`` restarts side by side; returns one result per restart."""
        games = batch.select(torch.arange(len(batch), device=batch.labels.device).repeat(count))
        noise = torch.rand(games.images.shape, generator=batch.generator, device=games.images.device)
        start = games.images + self.start_radius * (2 * noise - 1)
        weight = torch.full((len(games),), self.initial_weight, device=start.device)
        found = self._play(model, games, start, weight, (rate, 0.01 * rate))
        parts = zip(*(part.chunk(count) for part in (found.points, found.sizes, found.weights)), strict=True)
        return [Best(*part) for part in parts]

    def _fine_tune(self, model: Classifier, batch: Batch, best: Best, rate: float) -> Best:
        weight = torch.where(best.sizes < torch.inf, best.weights, self.initial_weight)
        return self._play(model, batch, best.points, weight, (0.01 * rate, 0.001 * rate))

    def _play(
        self, model: Classifier, games: Batch, start: Tensor, weight: Tensor, rates: tuple[float, float]
    ) -> Best:
        """Play one run of every game from ``start``.

        Args:
            model: the classifier.
            games: the image of each game.
            start: first points; clipped to the image box here.
            weight: first weight of the norm, ``[N]``.
            rates: first and last step size.
        """
        clean, criterion = games.images, games.criterion
        best, dual = Best.none_yet(clean), Dual(weight, self.dual_step_size, self.averaging)
        move = self.mover(clean)
        points = start.clamp(0, 1)
        for step in range(self.steps):
            rate = rates[1] + (rates[0] - rates[1]) * (1 - step / self.steps)
            points = points.requires_grad_()
            logits = model(points)
            hinge = (criterion.margin(logits) + criterion.confidence).clamp(min=0)
            (gradient,) = torch.autograd.grad(hinge.sum(), points)
            with torch.no_grad():
                points, perturbation = points.detach(), points.detach() - clean
                correct = ~criterion.met_by(logits)
                best.update(~correct, points, perturbation_sizes(perturbation, self.minimized), dual.weight)
                if self.updates == "alternating" and step > 0:
                    dual.update(correct)
                points = (clean + move(perturbation, gradient, dual.weight, rate)).clamp(0, 1)
                if self.updates == "simultaneous":
                    dual.update(correct)
        with torch.no_grad():
            won = criterion.met_by(model(points))
            best.update(won, points, perturbation_sizes(points - clean, self.minimized), dual.weight)
        return best


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class PDGD(PrimalDual):
    """Primal-dual gradient descent: Adam on the weighted l2 norm plus the hinge.

    Source: matyasko2020, Algorithm 2.
    """

    name: ClassVar[str] = "pdgd"

    @property
    def minimized(self) -> PerturbationNorm:
        """Always l2, the one norm of the four that is smooth."""
        return "l2"

    def mover(self, perturbation: Tensor) -> Move:
        """Return Adam with its usual moments (0.9, 0.999)."""
        mean, square = torch.zeros_like(perturbation), torch.zeros_like(perturbation)
        count = 0

        def move(perturbation: Tensor, gradient: Tensor, weight: Tensor, rate: float) -> Tensor:
            nonlocal count
            count += 1
            # The norm has no gradient at zero; 0 is a subgradient there.
            length = lengths(perturbation, "l2")
            pull = torch.where(length > 0, weight / length, 0.0)
            gradient = gradient + per_image(pull, perturbation) * perturbation
            mean.lerp_(gradient, 0.1)
            square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
            spread = (square / (1 - 0.999**count)).sqrt_().add_(1e-8)
            return perturbation - rate / (1 - 0.9**count) * mean / spread

        return move


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class PDPGD(PrimalDual):
    """Primal-dual proximal gradient descent: a step on the hinge, then the norm's proximal operator.

    Settings:
        norm: linf, l2, l1, or l0 (number of changed pixels).
        direction: what the step on the hinge follows: its gradient, the sign of it, or auto (the sign for
            linf, of which it is the steepest descent; the gradient for the others).
        pixel_rule: how the l0 operator judges a pixel: by its largest channel (as the work has it) or by its
            l2 norm over channels (the exact operator).

    Source: matyasko2020, Algorithm 3, eqs. 5.8-5.16.
    """

    name: ClassVar[str] = "pdpgd"
    norm: PerturbationNorm
    direction: Literal["auto", "gradient", "sign"] = "auto"
    pixel_rule: Literal["largest", "euclidean"] = "largest"

    @property
    def minimized(self) -> PerturbationNorm:
        """The norm of the settings."""
        return self.norm

    def mover(self, perturbation: Tensor) -> Move:
        """Return the proximal gradient step of eq. 5.10, whose threshold is step size times weight."""
        pixel_l0 = prox_pixel_l0 if self.pixel_rule == "largest" else prox_pixel_l0_exact
        prox = {"linf": prox_linf, "l2": prox_l2, "l1": prox_l1, "l0": pixel_l0}[self.norm]
        sign = self.direction == "sign" or (self.direction == "auto" and self.norm == "linf")

        def move(perturbation: Tensor, gradient: Tensor, weight: Tensor, rate: float) -> Tensor:
            step = gradient.sign() if sign else gradient
            return prox(perturbation - rate * step, rate * weight)

        return move
