"""Starts of the attacks inside a training step (chen2021, sections 5.2 and 6.4): each is a component of a defence.

A start maps a batch to its first iterates. ``step_size`` is that of the attack: the starts that themselves
take a step take one of that length. Nothing is returned that lies outside of the linf ball or the image box.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import ConfigDict, Field
from torch import Tensor, nn

from gauntlet.attacks.fixed_budget.pgd import projected_ascent
from gauntlet.attacks.geometry.norms import project_onto_ball_and_box, uniform_in_ball
from gauntlet.contracts import Batch
from gauntlet.setting_types import PositiveInt, Radius


@dataclass(frozen=True, kw_only=True)
class CleanStart:
    """The image itself. A divergence from the clean answer has no gradient there."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: Literal["clean"] = "clean"
    passes = 0

    def points(self, model: nn.Module, batch: Batch, eps: float, step_size: float) -> Tensor:
        """Return the clean images."""
        return batch.images


@dataclass(frozen=True, kw_only=True)
class GaussianStart:
    """A Gaussian around the image.

    Settings:
        scale: standard deviation in pixel scale.

    Source: Zhang et al. 2019.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: Literal["gaussian"] = "gaussian"
    scale: Radius = 0.001
    passes = 0

    def points(self, model: nn.Module, batch: Batch, eps: float, step_size: float) -> Tensor:
        """Return ``x + scale N(0, I)``."""
        clean = batch.images
        noise = torch.randn(clean.shape, generator=batch.generator, device=clean.device, dtype=clean.dtype)
        return project_onto_ball_and_box(clean + self.scale * noise, clean, "linf", eps)


@dataclass(frozen=True, kw_only=True)
class UniformStart:
    """A uniform draw from the ball (Madry et al. 2018, Wong et al. 2020)."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: Literal["uniform"] = "uniform"
    passes = 0

    def points(self, model: nn.Module, batch: Batch, eps: float, step_size: float) -> Tensor:
        """Return ``x + U(-eps, eps)``."""
        noise = uniform_in_ball(batch.images, "linf", eps, batch.generator)
        return (batch.images + noise).clamp_(0, 1)


@dataclass(frozen=True, kw_only=True)
class BackwardSmoothing:
    """A step from the image towards an answer drawn at random around its own.

    The step descends KL(softmax(f(x) + gamma psi) || softmax(f(x + xi))) from xi = 0, where psi is uniform in
    [-1, 1] for each image and class. With several draws of psi it descends the mean of their divergences. In its
    gradient at xi = 0 the targets count by their mean, so that one pass does for all draws; the published times
    tell of a pass for each.

    Settings:
        gamma: size of the draws, in logits.
        draws: number of psi.
        one_pass: whether all draws share a pass; if not, only the time that it takes is another.

    Source: chen2021, Algorithm 9, equations 6.4.3 and 6.4.4.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: Literal["backward_smoothing"] = "backward_smoothing"
    gamma: Radius = 1.0
    draws: PositiveInt = 1
    one_pass: bool = True

    @property
    def passes(self) -> int:
        """Passes forward and back to the image."""
        return 1 if self.one_pass else self.draws

    def points(self, model: nn.Module, batch: Batch, eps: float, step_size: float) -> Tensor:
        """Return ``x + xi*``."""

        def divergence(logits: Tensor) -> Tensor:
            answer = logits.detach().float()
            targets = [
                (answer + self.gamma * _psi(answer, batch)).softmax(1)
                for _ in range(self.draws // self.passes)
            ]
            # The entropy of the target has no gradient.
            return -(torch.stack(targets).mean(0) * logits.float().log_softmax(1)).sum()

        return _one_step(model, batch, divergence, eps, -step_size, self.passes)


@dataclass(frozen=True, kw_only=True)
class OutputDiversified:
    """A step from the image that changes its logits in a random direction: ascent of f(x + xi) psi.

    Source: chen2021, section 6.7.5; Tashiro et al. 2020.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: Literal["output_diversified"] = "output_diversified"
    passes = 1

    def points(self, model: nn.Module, batch: Batch, eps: float, step_size: float) -> Tensor:
        """Return ``x + xi*``."""
        return _one_step(
            model, batch, lambda logits: (logits.float() * _psi(logits, batch)).sum(), eps, step_size
        )


@dataclass(frozen=True, kw_only=True)
class TrueLogit:
    """A step from the image towards a random value of its true class's logit.

    The step descends ``([f(x + xi) - f(x) - gamma psi]_y)^2`` from xi = 0. The work prints it without f(x), which
    nearly always lowers the true logit and so is a second attack step; ``printed`` does that.

    Settings:
        gamma: size of the draws, in logits.
        form: ``residual`` as above, or ``printed``.

    Source: chen2021, section 6.7.5, the start of BS(PGD).
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: Literal["true_logit"] = "true_logit"
    gamma: Radius = 1.0
    form: Literal["residual", "printed"] = "residual"
    passes = 1

    def points(self, model: nn.Module, batch: Batch, eps: float, step_size: float) -> Tensor:
        """Return ``x + xi*``."""

        def distance(logits: Tensor) -> Tensor:
            logits = logits.float()
            answer = logits.detach() if self.form == "residual" else torch.zeros_like(logits)
            residual = logits - answer - self.gamma * _psi(logits, batch)
            return residual.gather(1, batch.labels[:, None]).square().sum()

        return _one_step(model, batch, distance, eps, -step_size)


def _psi(logits: Tensor, batch: Batch) -> Tensor:
    """Draw uniformly from [-1, 1] for each image and class, ``[N, K]``."""
    return torch.rand(logits.shape, generator=batch.generator, device=logits.device).mul_(2).sub_(1)


def _one_step(
    model: nn.Module,
    batch: Batch,
    value: Callable[[Tensor], Tensor],
    eps: float,
    step_size: float,
    passes: int = 1,
) -> Tensor:
    """Take one sign step from the clean images along the summed gradients of a value of the logits."""

    def gradient(images: Tensor) -> Tensor:
        leaf = images.detach().requires_grad_()
        total = torch.zeros_like(images)
        for _ in range(passes):
            with torch.enable_grad():
                total += torch.autograd.grad(value(model(leaf)), leaf)[0]
        return total

    return projected_ascent(
        gradient, batch.images, batch.images, norm="linf", eps=eps, step_size=step_size, steps=1
    )


Start = Annotated[
    CleanStart | GaussianStart | UniformStart | BackwardSmoothing | OutputDiversified | TrueLogit,
    Field(discriminator="name"),
]
"""A start by its name; each tells the ``passes`` that it costs, forward and back to the image."""
