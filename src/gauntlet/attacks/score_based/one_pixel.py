"""Pixel attack: differential evolution over the places and colors of a few pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gauntlet.attacks.base import Attack, Perturbed
from gauntlet.attacks.criterion import unmet
from gauntlet.attacks.geometry.sizes import changed_pixels
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, Task, ThreatModel
from gauntlet.setting_types import PositiveInt


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class OnePixel(Attack):
    """Lower the true class's logit, or raise the target's, by differential evolution (best/1/bin).

    An image leaves as soon as its best candidate is a success. A candidate lists, for each pixel, row,
    column and channel values. The first generation is a Latin hypercube; a mutant is the best plus a random
    factor in [0.5, 1] times the difference of two others, its genes outside their bounds drawn anew; every
    gene of a trial comes from the mutant.

    Settings:
        pixels: pixels that may change.
        population: candidates of each image.
        generations: most generations.

    Colors are multiples of 1/255, and what changes is the image rounded down to them.

    Columns: ``pixels``, changed pixels.

    Source: Su et al. 2019; matyasko2020, section 5.4.
    """

    name: ClassVar[str] = "one_pixel"
    pixels: PositiveInt = 1
    population: PositiveInt = 400
    generations: PositiveInt = 100

    @property
    def threat_model(self) -> ThreatModel:
        """Scores, up to a number of pixels."""
        return ThreatModel("score_based", "scores", "l0", self.pixels, "pixels")

    def cost(self, task: Task) -> Cost:
        """One forward pass per candidate and generation."""
        return Cost(forward=2 + self.population * (self.generations + 1))

    @torch.no_grad()
    def find(self, model: Classifier, batch: Batch) -> Perturbed:
        """Evolve all images in lock-step; images that succeed leave, the others stay clean."""
        rows = unmet(model, batch)
        images = batch.images.clone()
        generations = torch.zeros_like(batch.labels)
        queries = torch.ones_like(batch.labels)
        genes = self.pixels * (2 + images.shape[1])
        people = self._latin_hypercube(len(rows), genes, batch)
        people, fitness = self._evaluate(model, batch, rows, people)
        queries[rows] += self.population
        for generation in range(self.generations + 1 if len(rows) else 0):
            best = people[torch.arange(len(rows), device=rows.device), fitness.argmin(1)]
            painted = self._paint(batch.images[rows], best[:, None])[:, 0]
            fooled = batch.criterion.rows(rows).met_by(model(painted))
            images[rows[fooled]] = painted[fooled]
            generations[rows[fooled]] = generation
            rows, people, fitness, best = rows[~fooled], people[~fooled], fitness[~fooled], best[~fooled]
            if len(rows) == 0 or generation == self.generations:
                break
            trials, values = self._evaluate(model, batch, rows, self._mutants(people, best, batch.generator))
            queries[rows] += self.population
            better = values < fitness
            people = torch.where(better[:, :, None], trials, people)
            fitness = torch.where(better, values, fitness)
        generations[rows] = self.generations
        return Perturbed(images, generations, queries, {"pixels": changed_pixels(images - batch.images)})

    def _latin_hypercube(self, count: int, genes: int, batch: Batch) -> Tensor:
        """Draw genes in [0, 1), ``[count, population, genes]``: each gene hits each of P strata once."""
        shape, device = (count, self.population, genes), batch.images.device
        strata = torch.rand(shape, generator=batch.generator, device=device).argsort(1)
        inside = torch.rand(shape, generator=batch.generator, device=device)
        return (strata + inside) / self.population

    def _mutants(self, people: Tensor, best: Tensor, generator: torch.Generator) -> Tensor:
        count, size, _ = people.shape
        device = people.device
        # Two different others for each candidate: positions shifted by two different amounts.
        first = torch.randint(1, size, (count, size), generator=generator, device=device)
        second = torch.randint(1, size - 1, (count, size), generator=generator, device=device)
        second = second + (second >= first)
        place = torch.arange(size, device=device)
        one, other = (
            people.gather(1, ((place + shift) % size)[:, :, None].expand_as(people))
            for shift in (first, second)
        )
        factor = 0.5 + 0.5 * torch.rand(count, 1, 1, generator=generator, device=device)
        mutants = best[:, None] + factor * (one - other)
        fresh = torch.rand(mutants.shape, generator=generator, device=device)
        return torch.where((mutants < 0) | (mutants >= 1), fresh, mutants)

    def _evaluate(
        self, model: Classifier, batch: Batch, rows: Tensor, people: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the candidates and what is lowered under each: the true logit, or minus the target's, ``[B, P]``."""
        values = people.new_empty(people.shape[:2])
        criterion = batch.criterion.rows(rows)
        # A few images at a time: each brings a population.
        for part in torch.arange(len(rows), device=rows.device).split(8) if len(rows) else ():
            painted = self._paint(batch.images[rows[part]], people[part])
            logits = model(painted.flatten(0, 1)).view(len(part), self.population, -1)
            classes = criterion.classes[part, None, None].expand(-1, self.population, 1)
            values[part] = logits.gather(2, classes).squeeze(2)
        if criterion.targeted:
            values = -values
        return people, values

    def _paint(self, images: Tensor, people: Tensor) -> Tensor:
        """Write each candidate's pixels into its image; returns ``[B, P, C, H, W]``."""
        count, size, _ = people.shape
        channels, height, width = images.shape[1:]
        genes = people.view(count, size, self.pixels, 2 + channels)
        row, column = (genes[..., 0] * height).long(), (genes[..., 1] * width).long()
        colors = (genes[..., 2:] * 256).floor().clamp(max=255)
        painted = images[:, None].expand(-1, size, -1, -1, -1).flatten(3).clone()
        position = (row * width + column)[:, :, None].expand(-1, -1, channels, -1)
        base = painted.gather(3, position)
        change = (colors.transpose(2, 3) - (base * 255).floor()) / 255
        return painted.scatter(3, position, (base + change).clamp(0, 1)).unflatten(3, (height, width))
