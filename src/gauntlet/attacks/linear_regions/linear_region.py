"""Linear region attack: exact minimal perturbations in one linear region after the other.

All images, all their starts and, for each, one region and one
target class at a time are worked on together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor

from gauntlet.attacks.base import MinimumNormAttack, Smallest
from gauntlet.attacks.criterion import refuse_targets
from gauntlet.attacks.geometry.norms import lengths, per_image, unit_gradient
from gauntlet.attacks.geometry.sizes import PerturbationNorm, where_images
from gauntlet.attacks.linear_regions.other_class_starts import Starts, other_class_starts
from gauntlet.attacks.linear_regions.piecewise_affine import Regions
from gauntlet.attacks.linear_regions.region_qp import Solutions, layer_scales, pose, solve
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, LabelledImages, Task
from gauntlet.setting_types import NonNegativeInt, PositiveInt, Radius, Share

FACTORS = 101
"""Points of the line search from 0.9 to at most 1.1 times the way to a program's solution."""


@dataclass
class Search:
    """The state of all searches, one per start.

    Attributes:
        image: position of the attacked image of each search, ``[P]``.
        ends: image of another class that its segment leads to, ``[P, C, H, W]``.
        clean: attacked images ``[P, C, H, W]``.
        labels: their classes ``[P]``.
        classes: target classes in the order in which they are tried, ``[P, T]``.
        points: nearest adversarial points so far, ``[P, C, H, W]``.
        sizes: their l2 distances, ``[P]``.
        seen: hashes of the regions visited so far, ``[P, N]``.
        solver_iterations: iterations of the solver so far, ``[P]``.
        passes: forward passes so far, those of frozen networks included, ``[P]``.
        explored: regions visited, duplicates left out, ``[P]``.
    """

    image: Tensor
    ends: Tensor
    clean: Tensor
    labels: Tensor
    classes: Tensor
    points: Tensor
    sizes: Tensor
    seen: Tensor
    solver_iterations: Tensor = field(init=False)
    passes: Tensor = field(init=False)
    explored: Tensor = field(init=False)

    def __post_init__(self) -> None:
        """Start the counters."""
        self.solver_iterations, self.passes, self.explored = (torch.zeros_like(self.labels) for _ in range(3))


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class LinearRegion(MinimumNormAttack):
    """Search regions around the best adversarial point so far; in each one solve for the nearest point.

    The starts are found on segments to the batch's reference images of other classes (without references: to
    other images of the batch). It minimizes l2. For networks of ReLU type only.

    Settings:
        starts: number M of starts per image, from the likeliest wrong classes.
        regions: number N of regions per start; a region seen before counts.
        locality: exponent gamma of the distance to the next reference point; larger stays closer.
        bias: probability q that the next reference point lies towards the image.
        sampling: biased, or uniform over the sphere as in the predecessor of the attack.
        target_classes: classes solved for in each region: all wrong ones, the start's own, or the ranked M.
        solver_steps: most iterations of one quadratic program.
        decision_weight: norm that the decision row of a program is scaled to.
        checkpoints: numbers of regions after which the smallest distance is recorded, in a column
            ``l2_after_<regions>``.
        at_once: programs solved at once; bounds the memory.

    Source: croce2019, section 4, Algorithm 1.
    """

    name: ClassVar[str] = "linear_region"
    starts: PositiveInt = 5
    regions: PositiveInt = 500
    locality: Radius = 6.0
    bias: Share = 0.8
    sampling: Literal["biased", "uniform"] = "biased"
    target_classes: Literal["all", "start", "ranked"] = "all"
    solver_steps: PositiveInt = 500
    decision_weight: Radius = 75.0
    checkpoints: tuple[NonNegativeInt, ...] = ()
    at_once: PositiveInt = 512

    @property
    def minimized(self) -> PerturbationNorm:
        """Always l2."""
        return "l2"

    def cost(self, task: Task) -> Cost:
        """Passes for ten classes if no program ended early; most do."""
        classes = {"all": task.classes - 1, "start": 1, "ranked": self.starts}[self.target_classes]
        programs = self.starts * self.regions * classes
        forward = programs * (self.solver_steps + 22 + FACTORS) + self.starts * 120
        return Cost(forward=forward, backward=programs * (self.solver_steps + 21))

    def minimize(self, model: Classifier, batch: Batch) -> Smallest:
        """Search from every start; the smallest perturbation of an image's starts counts.

        Raises:
            GauntletError: the network has a layer that is not piecewise affine.
        """
        refuse_targets(batch, "the linear region attack")
        images, count = batch.images, len(batch)
        after: dict[int, Tensor] = {}

        def record(number: int, search: Search) -> None:
            if number in self.checkpoints:
                after[number] = smallest(search.sizes, search.image, count)[0]

        references = batch.references or LabelledImages(images, batch.labels)
        search = self.explore(model, images, batch.labels, references, batch.generator, record)
        sizes, best = smallest(search.sizes, search.image, count)
        if len(best):
            images = where_images(sizes < torch.inf, search.points[best], images)
        regions, iterations, passes = (
            torch.zeros_like(batch.labels).index_add(0, search.image, counter)
            for counter in (search.explored, search.solver_iterations, search.passes)
        )
        return Smallest(images, iterations, passes, {"regions": regions}, after)

    def explore(
        self,
        model: Classifier,
        images: Tensor,
        labels: Tensor,
        references: LabelledImages,
        generator: torch.Generator,
        watch: Callable[[int, Search], None],
    ) -> Search:
        """Search from every start.

        Args:
            model: the classifier.
            images: correctly classified images ``[N, C, H, W]``.
            labels: their classes ``[N]``.
            references: images of other classes.
            generator: source of randomness.
            watch: called with the number of regions visited so far (from 0 on) and the state.
        """
        starts = other_class_starts(model, images, labels, references, self.starts)
        search = self._begin(model, images, labels, starts)
        watch(0, search)
        for number in range(self.regions if len(starts.image) else 0):
            for rows in torch.arange(len(search.labels), device=images.device).split(self.at_once):
                self._visit(model, search, rows, number, generator)
            watch(number + 1, search)
        return search

    def _begin(self, model: Classifier, images: Tensor, labels: Tensor, starts: Starts) -> Search:
        clean, classes = images[starts.image], labels[starts.image]
        if len(clean) == 0:
            none = labels[:0, None].expand(0, self.regions)
            return Search(
                starts.image, starts.ends, clean, classes, none, starts.points, clean[:, 0, 0, 0], none
            )
        with torch.no_grad():
            logits = model(clean)
        # The start's class first, then the other wrong classes by their logits.
        logits = logits.scatter(1, starts.target[:, None], torch.inf).scatter(1, classes[:, None], -torch.inf)
        tried = {"all": logits.shape[1] - 1, "start": 1, "ranked": min(self.starts, logits.shape[1] - 1)}
        order = logits.argsort(1, descending=True)[:, : tried[self.target_classes]]
        sizes = lengths(starts.points - clean, "l2")
        seen = torch.zeros(len(clean), self.regions, dtype=torch.long, device=clean.device)
        search = Search(starts.image, starts.ends, clean, classes, order, starts.points, sizes, seen)
        search.passes += 120
        return search

    def _visit(
        self, model: Classifier, search: Search, rows: Tensor, number: int, generator: torch.Generator
    ) -> None:
        """Visit the next region of each of the searches ``rows``."""
        references = search.points[rows]
        if number > 0:
            # The first region is that of the start itself.
            references = self._next_reference(search.clean[rows], references, generator)
        regions = Regions.at(model, references)
        keys = regions.keys()
        fresh = ~(search.seen[rows, :number] == keys[:, None]).any(1)
        search.seen[rows, number] = keys
        search.passes[rows] += 1
        fresh = fresh.nonzero().squeeze(1)
        if len(fresh) == 0:
            return
        rows, regions, references = rows[fresh], regions.select(fresh), references[fresh]
        search.explored[rows] += 1
        scales = layer_scales(regions, references, generator)
        for rank in range(search.classes.shape[1]):
            programs = pose(
                regions,
                references,
                search.labels[rows],
                search.classes[rows, rank],
                scales,
                self.decision_weight,
            )
            solutions = solve(programs, search.clean[rows], search.sizes[rows], generator, self.solver_steps)
            search.solver_iterations[rows] += solutions.iterations
            search.passes[rows] += solutions.iterations + 22
            self._accept(model, search, rows, solutions)

    def _next_reference(self, clean: Tensor, points: Tensor, generator: torch.Generator) -> Tensor:
        """Sample near the best points, towards the images with probability q (eqs. 12-14)."""
        delta = points - clean
        size = lengths(delta, "l2")
        noise = torch.randn(delta.shape, generator=generator, device=delta.device)
        outward = unit_gradient(delta, "l2")
        if self.sampling == "uniform":
            direction = unit_gradient(noise, "l2")
        else:
            along = (noise * outward).flatten(1).sum(1)
            sideways = unit_gradient(noise - per_image(along, noise) * outward, "l2")
            draws = torch.rand(2, len(delta), generator=generator, device=delta.device)
            angle = torch.where(draws[0] <= self.bias, math.pi, -math.pi) * draws[1]
            direction = per_image(angle.cos(), noise) * sideways - per_image(angle.sin(), noise) * outward
        radius = size * torch.rand(len(delta), generator=generator, device=delta.device) ** self.locality
        return points + per_image(radius, delta) * direction

    @torch.no_grad()
    def _accept(self, model: Classifier, search: Search, rows: Tensor, solutions: Solutions) -> None:
        """Take over the solutions from which a line search leads to a nearer adversarial point."""
        clean, sizes = search.clean[rows], search.sizes[rows]
        reach = lengths(solutions.points - clean, "l2")
        useful = (~solutions.hopeless & (reach > 0) & (0.9 * reach < sizes)).nonzero().squeeze(1)
        if len(useful) == 0:
            return
        rows, clean, direction = rows[useful], clean[useful], solutions.points[useful] - clean[useful]
        last = (sizes[useful] / reach[useful]).clamp(max=1.1)
        grid = torch.linspace(0, 1, FACTORS, device=clean.device)
        search.passes[rows] += FACTORS
        factors = 0.9 + (last - 0.9)[:, None] * grid
        found, first = _first_misclassified(model, clean, direction, search.labels[rows], factors)
        # Where the shortest step succeeds, shorter ones may as well.
        short = (found & (first == 0)).nonzero().squeeze(1)
        if len(short):
            shorter = (0.9 * grid[1:]).expand(len(short), -1)
            again, nearer = _first_misclassified(
                model, clean[short], direction[short], search.labels[rows[short]], shorter
            )
            factors[short[again], first[short[again]]] = shorter[0][nearer[again]]
            search.passes[rows[short]] += FACTORS
        factor = factors.gather(1, first[:, None]).squeeze(1)
        points = (clean + per_image(factor, clean) * direction).clamp(0, 1)
        size = lengths(points - clean, "l2")
        better = (found & (size < search.sizes[rows])).nonzero().squeeze(1)
        search.points[rows[better]], search.sizes[rows[better]] = points[better], size[better]


def _first_misclassified(
    model: Classifier, clean: Tensor, direction: Tensor, labels: Tensor, factors: Tensor, block: int = 8
) -> tuple[Tensor, Tensor]:
    """Find the first factor at which each image is misclassified.

    Args:
        model: the classifier.
        clean: images ``[B, C, H, W]``.
        direction: where to go from each, ``[B, C, H, W]``.
        labels: classes ``[B]``.
        factors: ascending factors of the direction, ``[B, F]``.
        block: factors tried at once.

    Returns:
        Whether there is one, and its position, ``[B]`` each.
    """
    found = torch.zeros(len(clean), dtype=torch.bool, device=clean.device)
    first = torch.zeros_like(labels)
    rows = torch.arange(len(clean), device=clean.device)
    for start in range(0, factors.shape[1], block):
        steps = factors[rows, start : start + block]
        tried = clean[rows, None] + steps.view(*steps.shape, 1, 1, 1) * direction[rows, None]
        wrong = model(tried.flatten(0, 1).clamp_(0, 1)).argmax(1).view(steps.shape) != labels[rows, None]
        hit = wrong.any(1)
        found[rows[hit]] = True
        first[rows[hit]] = start + wrong[hit].long().argmax(1)
        rows = rows[~hit]
        if len(rows) == 0:
            break
    return found, first


def smallest(sizes: Tensor, image: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return each image's smallest size (infinite without starts) and which start has it, ``[count]``."""
    least = torch.full((count,), torch.inf, device=sizes.device).scatter_reduce(0, image, sizes, "amin")
    position = torch.arange(len(sizes), device=sizes.device)
    is_best = sizes == least[image]
    best = torch.zeros(count, dtype=torch.long, device=sizes.device)
    return least, best.index_put((image[is_best],), position[is_best]) if len(sizes) else best[:0]
