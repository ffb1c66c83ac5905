"""The attack of Szegedy et al.: box-constrained L-BFGS on length plus weighted loss, and a search of the weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gauntlet.attacks.base import MinimumNormAttack, Smallest
from gauntlet.attacks.criterion import refuse_confidence
from gauntlet.attacks.geometry.sizes import PerturbationNorm
from gauntlet.attacks.objectives import log_odds
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, Criterion, Task
from gauntlet.setting_types import PositiveInt, Radius


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class Lbfgs(MinimumNormAttack):
    """Minimize squared l2 length plus weighted cross-entropy in the image box by L-BFGS-B; search the weight.

    The cross-entropy is that of the target, or -log of the probability of all classes but the true one. The weight
    grows tenfold until the minimum is adversarial and is then halved towards the smallest such one. The solver is
    SciPy's, image by image on the CPU: an attack for a few images.

    Settings:
        iterations: of the solver for each weight.
        searches: weights that are tried.
        initial_weight: of the cross-entropy.

    Source: Szegedy et al. 2014; matyasko2020, eq. 2.14.
    """

    name: ClassVar[str] = "lbfgs"
    iterations: PositiveInt = 100
    searches: PositiveInt = 15
    initial_weight: Radius = 0.01

    @property
    def minimized(self) -> PerturbationNorm:
        """Always l2."""
        return "l2"

    def cost(self, task: Task) -> Cost:
        """About one pass forward and back for every iteration."""
        passes = self.searches * self.iterations
        return Cost(forward=passes + 3, backward=passes)

    def minimize(self, model: Classifier, batch: Batch) -> Smallest:
        """Search the weight for one image after the other; one for which none is found stays clean."""
        refuse_confidence(batch, self.name)
        images, passes = batch.images.clone(), torch.zeros_like(batch.labels)
        for row in range(len(batch)):
            one = slice(row, row + 1)
            found, spent = self._search(
                model, batch.images[one], batch.criterion.rows(passes.new_tensor([row]))
            )
            images[one] = found
            passes[row] = spent
        return Smallest(images, passes, passes)

    def _search(self, model: Classifier, clean: Tensor, criterion: Criterion) -> tuple[Tensor, int]:
        """Return the nearest adversarial image ``[1, C, H, W]`` that a weight leads to, and the passes taken."""
        best, closest, passes = clean, np.inf, 0
        low, high, weight = 0.0, np.inf, self.initial_weight
        for _ in range(self.searches):
            point, spent = self._solve(model, clean, criterion, weight)
            passes += spent + 1
            with torch.no_grad():
                success = bool(criterion.met_by(model(point)))
            if success:
                high, length = weight, float((point - clean).norm())
                if length < closest:
                    best, closest = point, length
            else:
                low = weight
            weight = (low + high) / 2 if np.isfinite(high) else weight * 10
        return best, passes

    def _solve(
        self, model: Classifier, clean: Tensor, criterion: Criterion, weight: float
    ) -> tuple[Tensor, int]:
        """Return the minimum for one weight, and the passes taken."""
        from scipy.optimize import minimize

        start = clean.flatten().double().cpu().numpy()

        def tensor(values: np.ndarray) -> Tensor:
            return torch.from_numpy(values).to(clean).view_as(clean)

        def objective(values: np.ndarray) -> tuple[float, np.ndarray]:
            with torch.enable_grad():
                point = tensor(values).requires_grad_()
                loss = (point - clean).square().sum() + weight * F.softplus(
                    log_odds(criterion, model(point))
                ).sum()
                (gradient,) = torch.autograd.grad(loss, point)
            return float(loss.detach()), gradient.flatten().double().cpu().numpy()

        solution = minimize(
            objective,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, 1.0)] * len(start),
            options={"maxiter": self.iterations},
        )
        return tensor(solution.x.clip(0, 1)), int(solution.nfev)
