"""The nearest adversarial point inside a linear region: many quadratic programs at once, by their duals.

A program asks for the point z of the image box nearest to x with A z <= b, where the rows are the region's
constraints and one decision row: the logit of the source class is at most that of the target class. A is
never formed. A z - b is a forward pass of the frozen network at z, A u one with the value at 0 taken away,
and A^T mu a backward pass with mu injected at every layer. The multipliers of the box are eliminated: for
given mu the best point is z(mu) = clip(x - A^T mu), and A z(mu) - b is the gradient of the dual value.

Source: croce2019, sections 4.1-4.2, eqs. 15-19.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gauntlet.attacks.geometry.norms import lengths, per_image
from gauntlet.attacks.linear_regions.piecewise_affine import Regions

CHECK_EVERY = 10
"""Iterations between looks at which programs are finished (each look waits for the device)."""

GAP, INFEASIBILITY = 1e-6, 1e-6
"""A program is solved once its duality gap and its worst scaled constraint are at most these."""


@dataclass(frozen=True)
class Programs:
    """One quadratic program per region.

    Attributes:
        regions: B linear regions.
        sources: class to leave, ``[B]``.
        targets: class to reach, ``[B]``.
        scales: factor of each layer's rows, ``[B, layers]``.
        decision_scale: factor of the decision row, ``[B]``.
    """

    regions: Regions
    sources: Tensor
    targets: Tensor
    scales: Tensor
    decision_scale: Tensor

    def constraints(self, points: Tensor) -> Tensor:
        """Return the scaled A z - b, ``[B, R]``, for one point per program; differentiable."""
        rows, logits = self.regions.evaluate(points)
        scaled = [row * self.scales[:, number, None] for number, row in enumerate(rows)]
        return torch.cat(
            [*scaled, self.decision_scale[:, None] * _decision(logits, self.sources, self.targets)], 1
        )

    def select(self, index: Tensor) -> Programs:
        """Return the programs at these positions."""
        return Programs(
            self.regions.select(index),
            self.sources[index],
            self.targets[index],
            self.scales[index],
            self.decision_scale[index],
        )


@dataclass(frozen=True)
class Solutions:
    """The solver's result for each program.

    Attributes:
        points: primal point of the best dual value, ``[B, C, H, W]``.
        values: best dual value, ``[B]``; no feasible point has half its squared distance below it.
        hopeless: the dual value has reached the bound: the region has nothing better, ``[B]``.
        iterations: iterations spent, ``[B]``.
    """

    points: Tensor
    values: Tensor
    hopeless: Tensor
    iterations: Tensor


def pose(
    regions: Regions,
    references: Tensor,
    sources: Tensor,
    targets: Tensor,
    scales: Tensor,
    decision_weight: float,
) -> Programs:
    """Pose one program per region.

    Args:
        regions: B linear regions.
        references: their reference points ``[B, C, H, W]``.
        sources: class to leave, ``[B]``.
        targets: class to reach, ``[B]``.
        scales: factor of each layer's rows, see ``layer_scales``.
        decision_weight: norm that the decision row is scaled to; above 1 it becomes feasible sooner.
    """
    leaf = references.detach().requires_grad_()
    _, logits = regions.evaluate(leaf)
    (row,) = torch.autograd.grad(_decision(logits, sources, targets).sum(), leaf)
    return Programs(regions, sources, targets, scales, decision_weight * _inverse(lengths(row, "l2")))


def layer_scales(regions: Regions, references: Tensor, generator: torch.Generator, rows: int = 10) -> Tensor:
    """Return for each layer one over the mean norm of ``rows`` rows drawn at random, ``[B, layers]``."""
    leaf = references.detach().requires_grad_()
    layers, _ = regions.evaluate(leaf)
    scales = []
    for values in layers:
        total = values.new_zeros(len(values))
        drawn = torch.randint(
            values.shape[1], (rows, len(values), 1), generator=generator, device=leaf.device
        )
        for position in drawn:
            (row,) = torch.autograd.grad(values.gather(1, position).sum(), leaf, retain_graph=True)
            total = total + lengths(row, "l2")
        scales.append(_inverse(total / rows))
    return torch.stack(scales, 1)


def squared_norm(programs: Programs, like: Tensor, generator: torch.Generator, steps: int = 20) -> Tensor:
    """Estimate the largest eigenvalue of A^T A of each program by power iteration, ``[B]``.

    The iteration starts at noise, since some networks map constants to zero. It approaches the eigenvalue
    from below; five percent are added.
    """
    with torch.no_grad():
        offset = programs.constraints(torch.zeros_like(like))
    vector = torch.randn(like.shape, generator=generator, device=like.device)
    eigenvalue = like.new_ones(len(like))
    for _ in range(steps):
        vector = (vector / per_image(lengths(vector, "l2"), vector)).detach().requires_grad_()
        image = programs.constraints(vector) - offset
        (vector,) = torch.autograd.grad(image, vector, image.detach())
        eigenvalue = lengths(vector, "l2")
    return 1.05 * eigenvalue.clamp(min=torch.finfo(like.dtype).tiny)


def solve(
    programs: Programs, images: Tensor, bounds: Tensor, generator: torch.Generator, steps: int = 500
) -> Solutions:
    """Maximize the duals by accelerated projected gradient ascent.

    A program ends when its dual value proves that its region holds no point closer than its bound, when it is
    solved, or after ``steps`` iterations. Finished programs leave the batch.

    Args:
        programs: the programs.
        images: the points x that distances are measured from, ``[B, C, H, W]`` in the image box.
        bounds: distance that a solution must stay below to be of use, ``[B]``.
        generator: source of randomness of the power iteration.
        steps: most iterations.
    """
    x, half = images, bounds**2 / 2
    points, values = images.clone(), torch.zeros_like(bounds)
    hopeless = torch.zeros_like(bounds, dtype=torch.bool)
    iterations = torch.full_like(bounds, steps, dtype=torch.long)
    rate = 1 / squared_norm(programs, images, generator)
    # Positions of the programs at work in the whole, and their state.
    active = torch.arange(len(images), device=images.device)
    best_point, best_value = x, values
    cut = hopeless
    leaf = x.detach().requires_grad_()
    slack = programs.constraints(leaf)
    ahead = previous = torch.zeros_like(slack)
    for step in range(1, steps + 1):
        gradient = slack.detach()
        gap = (ahead * gradient).sum(1)
        value = lengths(leaf.detach() - x, "l2") ** 2 / 2 + gap
        better = value > best_value
        best_value = torch.where(better, value, best_value)
        best_point = torch.where(better.view(-1, *[1] * (x.dim() - 1)), leaf.detach(), best_point)
        cut = cut | (value >= half)
        if step % CHECK_EVERY == 0 or step == 1:
            solved = (gap.abs() <= GAP) & (gradient.amax(1) <= INFEASIBILITY)
            done = cut | solved
            if done.any():
                finished, kept = done.nonzero().squeeze(1), (~done).nonzero().squeeze(1)
                where = active[finished]
                points[where], values[where] = best_point[finished], best_value[finished]
                hopeless[where], iterations[where] = cut[finished], step
                if len(kept) == 0:
                    return Solutions(points, values, hopeless, iterations)
                programs = programs.select(kept)
                active, x, half, rate = active[kept], x[kept], half[kept], rate[kept]
                best_point, best_value, cut = best_point[kept], best_value[kept], cut[kept]
                ahead, previous = ahead[kept], previous[kept]
                leaf = leaf.detach()[kept].requires_grad_()
                gradient = gradient[kept]
                slack = programs.constraints(leaf)
        # mu moves up the gradient, stays non-negative, and is extrapolated with momentum t / (t + 3).
        current = torch.addcmul(ahead, gradient, rate[:, None]).clamp_(min=0)
        ahead = torch.lerp(previous, current, 1 + step / (step + 3)).clamp_(min=0)
        previous = current
        (pull,) = torch.autograd.grad(slack, leaf, ahead)
        leaf = (x - pull).clamp_(0, 1).requires_grad_()
        slack = programs.constraints(leaf)
    points[active], values[active], hopeless[active] = best_point, best_value, cut
    return Solutions(points, values, hopeless, iterations)


def _decision(logits: Tensor, sources: Tensor, targets: Tensor) -> Tensor:
    """Return f_source - f_target, ``[B, 1]``."""
    return logits.gather(1, sources[:, None]) - logits.gather(1, targets[:, None])


def _inverse(norms: Tensor) -> Tensor:
    """Return 1 / norm, and 1 for rows that are all zero."""
    return torch.where(norms > 0, 1 / norms, 1.0)
