"""The attacks of the literature that Algorithm 1 covers, by name (maerz2023, Table 2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gauntlet.attacks.criterion import TargetRule
from gauntlet.attacks.fixed_budget.pgd import RandomStart
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
