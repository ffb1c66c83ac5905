"""Balls and spheres of the l1, l2 and linf norms: lengths, projections, directions, uniform samples.

Every function takes a batch ``[N, ...]`` and treats each image by itself; all entries of an image, channels
included, are coordinates of one vector.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gauntlet.setting_types import ORDER, Norm


def lengths(vectors: Tensor, norm: Norm) -> Tensor:
    """Return the norm of each image's vector, ``[N]``."""
    return torch.linalg.vector_norm(vectors, ORDER[norm], tuple(range(1, vectors.ndim)))


def per_image(values: Tensor | float, like: Tensor) -> Tensor:
    """Shape one number per image ``[N]`` (or one for all) so that it broadcasts against ``like``."""
    return torch.as_tensor(values, device=like.device, dtype=like.dtype).reshape(-1, *[1] * (like.ndim - 1))


def project_onto_ball(perturbations: Tensor, norm: Norm, eps: float | Tensor) -> Tensor:
    """Return the nearest point (in l2) of the norm's ball around 0.

    Args:
        perturbations: ``[N, ...]``.
        norm: the ball's norm.
        eps: its radius, one for all images or ``[N]``.
    """
    radius = per_image(eps, perturbations)
    if norm == "linf":
        return torch.clamp(perturbations, -radius, radius)
    if norm == "l2":
        tiny = torch.finfo(perturbations.dtype).tiny
        length = per_image(lengths(perturbations, norm), perturbations).clamp_(min=tiny)
        return perturbations * (radius / length).clamp_(max=1)
    return _project_onto_l1_ball(perturbations, radius)


def _project_onto_l1_ball(perturbations: Tensor, radius: Tensor) -> Tensor:
    """Shrink every entry by the threshold that brings the l1 norm to the radius (Duchi et al., 2008).

    The threshold spreads what exceeds the radius evenly over the entries above it. Started at zero it only
    grows, and is exact once no further entry falls below it (Michelot, 1986): a handful of rounds, much
    cheaper than the sort of the textbook solution.
    """
    magnitude = perturbations.abs()
    axes = tuple(range(1, perturbations.ndim))
    threshold = torch.zeros_like(radius)
    above = torch.full_like(radius, -1)
    while True:
        shrunk = (magnitude - threshold).clamp_(min=0)
        above, before = (shrunk > 0).sum(axes, keepdim=True), above
        if torch.equal(above, before):
            return shrunk.copysign_(perturbations)
        surplus = (shrunk.sum(axes, keepdim=True) - radius).clamp_(min=0)
        threshold = threshold + surplus / above.clamp(min=1)


def project_onto_ball_and_box(images: Tensor, clean: Tensor, norm: Norm, eps: float | Tensor) -> Tensor:
    """Project onto the ball around the clean images, then clip to [0, 1].

    Clipping cannot leave the ball, because the clean image lies in the box: no entry moves away from it.
    """
    return (clean + project_onto_ball(images - clean, norm, eps)).clamp_(0, 1)


def unit_gradient(gradients: Tensor, norm: Norm) -> Tensor:
    """Bring each gradient to unit length: its sign for linf, else gradient / ||gradient||_p.

    An all-zero gradient stays zero. For l1 the result is dense, unlike ``steepest_direction``.
    """
    if norm == "linf":
        return gradients.sign()
    # Divide by the largest entry first: squares of the gradients of confident networks underflow float32.
    largest = per_image(lengths(gradients, "linf"), gradients)
    scaled = gradients / torch.where(largest == 0, 1.0, largest)
    length = per_image(lengths(scaled, norm), gradients)
    return scaled / torch.where(length == 0, 1.0, length)


def steepest_direction(gradients: Tensor, norm: Norm) -> Tensor:
    """Return the point of the unit ball with the largest inner product with each gradient.

    For l1 that is one signed coordinate, the first of the largest; an all-zero gradient gives zero.
    """
    if norm != "l1":
        return unit_gradient(gradients, norm)
    flat = gradients.flatten(1)
    largest = flat.abs().argmax(1, keepdim=True)
    return torch.zeros_like(flat).scatter_(1, largest, flat.gather(1, largest).sign()).view_as(gradients)


def uniform_in_ball(like: Tensor, norm: Norm, eps: float, generator: torch.Generator) -> Tensor:
    """Draw one point per image uniformly from the norm's ball of radius ``eps`` around 0.

    For l1 and l2 the direction is uniform on the sphere and the length that of n-dimensional volume; for l1
    both come at once from exponentials, one of which is left out of the point (Barthe et al., 2005).
    """
    if norm == "linf":
        return _uniform(like, generator) * (2 * eps) - eps
    if norm == "l2":
        volume = per_image(_uniform(like.flatten(1)[:, :1], generator), like)
        return uniform_on_sphere(like, norm, eps, generator) * volume.pow_(1 / like[0].numel())
    draws = _laplace(like, generator)
    left_out = _laplace(like.flatten(1)[:, :1], generator).abs_()
    return draws * (eps / per_image(lengths(draws, "l1")[:, None] + left_out, like))


def uniform_on_sphere(
    like: Tensor, norm: Norm, eps: float, generator: torch.Generator, *, corners: bool = False
) -> Tensor:
    """Draw one point per image uniformly from the norm's sphere of radius ``eps`` around 0.

    Args:
        like: shape, device and type of the result.
        norm: the sphere's norm.
        eps: its radius.
        generator: source of randomness.
        corners: for linf, draw only corners of the cube (every entry +-eps) instead of points of its faces.
    """
    if norm == "l2":
        draws = torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)
        return unit_gradient(draws, norm) * eps
    if norm == "l1":
        draws = _laplace(like, generator)
        return draws * (eps / per_image(lengths(draws, norm), like))
    signs = _signs(like, generator)
    if corners:
        return signs * eps
    inside = uniform_in_ball(like, norm, eps, generator).flatten(1)
    face = torch.randint(inside.shape[1], (len(inside), 1), generator=generator, device=like.device)
    return inside.scatter_(1, face, signs.flatten(1).gather(1, face) * eps).view_as(like)


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype)


def _laplace(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw exponentials with random signs, both from one uniform number in [-1, 1)."""
    draws = _uniform(like, generator).mul_(2).sub_(1)
    # 2^-24 is the spacing of uniform float32 numbers; an exact zero has no logarithm.
    return draws.abs().clamp_(min=2**-24).log_().neg_().copysign_(draws)


def _signs(like: Tensor, generator: torch.Generator) -> Tensor:
    bits = torch.randint(2, like.shape, generator=generator, device=like.device, dtype=like.dtype)
    return bits.mul_(2).sub_(1)
