"""The way of a linear region attack from a training image to its final point, in pictures and distances."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import torch
from pydantic import AfterValidator
from torch import Tensor

from gauntlet.attacks.criterion import unmet
from gauntlet.attacks.geometry.norms import lengths
from gauntlet.attacks.linear_regions.linear_region import LinearRegion, Search, smallest
from gauntlet.attacks.linear_regions.piecewise_affine import Regions
from gauntlet.attacks.linear_regions.region_qp import layer_scales, pose, solve
from gauntlet.contracts import (
    PROCEDURES,
    AnyProcedure,
    Batch,
    Classifier,
    Cost,
    Criterion,
    LabelledImages,
    Outcome,
    Procedure,
    Task,
)
from gauntlet.errors import ConfigurationError
from gauntlet.setting_types import PositiveInt

SOLVER_STEPS = 2000
"""Most iterations of the program that is solved for its own sake."""


def _is_linear_region(procedure: Procedure) -> Procedure:
    if not isinstance(procedure, LinearRegion):
        raise ConfigurationError(
            "only a linear region attack has such a path",
            key="name",
            found=procedure.name,
            valid=LinearRegion.name,
        )
    return procedure


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class LinearRegionPath(Procedure):
    """Keep the points that the best run of a linear region attack passed through.

    The images kept are strips of T = stages + 4 tiles side by side, ``[N, C, H, T * W]``: the training image
    that the start was found with, the start, up to ``stages`` accepted points evenly spaced in the logarithm
    of the distance (what is missing repeats the tile before), the final point, and the solution of the
    quadratic program in the region of the start. It keeps every accepted point in memory: for few images.

    Columns, for each tile t: ``distance_t`` (l2, to the image), ``first_t`` and ``second_t`` (the two most
    likely classes). For the start and its region's solution also ``start_margin`` and ``solution_margin``
    (true logit minus the largest other) and ``violation``: the largest scaled constraint of the region at the
    solution, at most 0 inside. All are NaN or -1 for an image without a run.

    Settings:
        attack: the linear region attack.
        stages: most accepted points between the start and the final point.

    Source: croce2019, section 6.
    """

    name: ClassVar[str] = "linear_region_path"
    attack: Annotated[AnyProcedure, AfterValidator(_is_linear_region)]
    stages: PositiveInt = 4

    def cost(self, task: Task) -> Cost:
        """The attack, one more program, and a look at every tile."""
        return self.attack.cost(task) + Cost(forward=SOLVER_STEPS + 50, backward=SOLVER_STEPS + 50)

    def run(self, model: Classifier, batch: Batch) -> Outcome:
        """Attack the batch and record the paths."""
        assert isinstance(self.attack, LinearRegion)
        attacked = unmet(model, replace(batch, targets=None))
        images, labels = batch.images[attacked], batch.labels[attacked]
        references = batch.references or LabelledImages(batch.images, batch.labels)
        sizes: list[Tensor] = []
        points: list[Tensor] = []

        def record(number: int, search: Search) -> None:
            sizes.append(search.sizes.clone())
            points.append(search.points.clone())

        search = self.attack.explore(model, images, labels, references, batch.generator, record)
        least, best = smallest(search.sizes, search.image, len(images))
        rows = (least < torch.inf).nonzero().squeeze(1)
        runs, attacked = best[rows], attacked[rows]
        tiles = batch.images[:, None].repeat(1, self.stages + 4, 1, 1, 1)
        columns = {
            name: batch.images.new_full((len(batch),), torch.nan)
            for name in ("start_margin", "solution_margin", "violation")
        }
        if len(runs):
            chosen = evenly_spaced(torch.stack(sizes)[:, runs], self.stages)
            accepted = torch.stack(points)[chosen, runs].transpose(0, 1)
            solution, violation = self._first_region(model, search, runs, points[0][runs], batch.generator)
            tiles[attacked] = torch.cat([search.ends[runs, None], accepted, solution[:, None]], 1)
            columns["violation"][attacked] = violation
            truth = Criterion(search.labels[runs], targeted=False)
            with torch.no_grad():
                columns["start_margin"][attacked] = truth.margin(model(points[0][runs]))
                columns["solution_margin"][attacked] = truth.margin(model(solution))
        return Outcome(
            columns | self._described(model, batch, tiles, attacked), torch.cat([*tiles.unbind(1)], 3)
        )

    def _first_region(
        self, model: Classifier, search: Search, runs: Tensor, starts: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Solve for the class that the network sees at the start, in the start's region, to convergence."""
        assert isinstance(self.attack, LinearRegion)
        regions = Regions.at(model, starts)
        with torch.no_grad():
            targets = model(starts).argmax(1)
        scales = layer_scales(regions, starts, generator)
        programs = pose(regions, starts, search.labels[runs], targets, scales, self.attack.decision_weight)
        unbounded = torch.full((len(runs),), torch.inf, device=starts.device)
        solution = solve(programs, search.clean[runs], unbounded, generator, SOLVER_STEPS).points
        with torch.no_grad():
            # The last constraint is the decision row.
            violation = programs.constraints(solution)[:, :-1].amax(1)
        return solution, violation

    @staticmethod
    def _described(model: Classifier, batch: Batch, tiles: Tensor, attacked: Tensor) -> dict[str, Tensor]:
        """Return distance and two likeliest classes of every tile."""
        columns: dict[str, Tensor] = {}
        for number, tile in enumerate(tiles.unbind(1)):
            with torch.no_grad():
                likeliest = model(tile).topk(2, dim=1).indices
            distance = torch.full_like(tile[:, 0, 0, 0], torch.nan)
            distance[attacked] = lengths(tile - batch.images, "l2")[attacked]
            columns[f"distance_{number}"] = distance
            for name, classes in zip(("first", "second"), likeliest.unbind(1), strict=True):
                kept = torch.full_like(batch.labels, -1)
                kept[attacked] = classes[attacked]
                columns[f"{name}_{number}"] = kept
        return columns


def evenly_spaced(sizes: Tensor, stages: int) -> Tensor:
    """Choose the first and the last size and up to ``stages`` different ones between, evenly in the logarithm.

    Args:
        sizes: distances in the order in which they were reached, never rising, ``[R, P]``.
        stages: how many to choose between the first and the last.

    Returns:
        Positions along the first dimension, never falling, ``[stages + 2, P]``; where there are fewer
        different sizes, some are equal.
    """
    logs = sizes.double().log()
    shares = torch.linspace(0, 1, stages + 2, device=sizes.device, dtype=logs.dtype)
    wanted = logs[0] + shares[:, None] * (logs[-1] - logs[0])
    chosen = (logs[None] - wanted[:, None]).abs().argmin(1)
    # Of equal sizes the first is as good as the last.
    return chosen.cummax(0).values
