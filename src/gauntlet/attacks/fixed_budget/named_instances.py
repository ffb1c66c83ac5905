"""The attacks of the literature that Algorithm 1 covers, by name (maerz2023, Table 2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gauntlet.attacks.criterion import TargetRule
from gauntlet.attacks.fixed_budget.pgd import Pgd, RandomStart
from gauntlet.setting_types import Norm

StepRule = Literal["eps", "eps - sigma", "constant", "1/255", ">= eps/S"]


@dataclass(frozen=True, kw_only=True)
class NamedInstance:
    """One row of Table 2.1.

    Attributes:
        norm: norm of the ball.
        step_rule: the step length omega_s.
        several_steps: S > 1, else S = 1.
        random_start: distribution of R.
        target: class that the attack aims at.
        references: numbers of the works it stems from, in the document's bibliography.
    """

    norm: Norm
    step_rule: StepRule
    several_steps: bool
    random_start: RandomStart
    target: TargetRule
    references: tuple[int, ...]

    def attack(self, eps: float, *, steps: int = 10, sigma: float | None = None) -> Pgd:
        """Return the attack.

        Args:
            eps: radius in pixel scale.
            steps: S, for the instances with several steps. Where the table leaves the length free
                (constant, >= eps/S) it is 2.5 eps/S, enough to reach the ball's surface and walk along it.
            sigma: standard deviation of a Gaussian start, by default eps / 2.
        """
        steps = steps if self.several_steps else 1
        sigma = eps / 2 if sigma is None else sigma
        free = 2.5 * eps / steps
        lengths: dict[StepRule, float] = {
            "eps": eps,
            "eps - sigma": eps - sigma,
            "constant": free,
            "1/255": 1 / 255,
            ">= eps/S": free,
        }
        return Pgd(
            norm=self.norm,
            eps=eps,
            steps=steps,
            step_size=lengths[self.step_rule],
            random_start=self.random_start,
            start_scale=sigma if self.random_start == "gaussian" else None,
            target=self.target,
        )


def _instance(
    step_rule: StepRule,
    *references: int,
    norm: Norm = "linf",
    several_steps: bool = False,
    random_start: RandomStart = "none",
    target: TargetRule = "none",
) -> NamedInstance:
    return NamedInstance(
        norm=norm,
        step_rule=step_rule,
        several_steps=several_steps,
        random_start=random_start,
        target=target,
        references=references,
    )


NAMED_INSTANCES: dict[str, NamedInstance] = {
    "untargeted FGSM": _instance("eps", 30, 80, 101, 95, 60),
    "targeted FGSM": _instance("eps", 42, 43, target="samples"),
    "least-likely FGSM": _instance("eps", 89, target="least_likely"),
    "untargeted R-FGSM": _instance("eps", 95, random_start="uniform"),
    # The table prints no target for the next two; their names say which.
    "targeted R-FGSM": _instance("eps - sigma", 89, random_start="gaussian", target="samples"),
    "least-likely R-FGSM": _instance("eps - sigma", 89, random_start="gaussian", target="least_likely"),
    "single-step PGD, l1": _instance("eps", 80, norm="l1"),
    "single-step PGD, l2": _instance("eps", 101, 80, norm="l2"),
    "untargeted multi-step PGD": _instance("constant", 52, 23, several_steps=True),
    "targeted multi-step PGD": _instance("1/255", 42, 43, several_steps=True, target="samples"),
    "least-likely multi-step PGD": _instance(">= eps/S", 89, several_steps=True, target="least_likely"),
    "multi-step R-PGD": _instance("constant", 52, several_steps=True, random_start="uniform"),
}
"""The rows of Table 2.1 in its order."""
