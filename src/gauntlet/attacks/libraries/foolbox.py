"""Classic minimum-norm attacks of the Foolbox library, as baselines."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError
from torch import Tensor

from gauntlet.attacks.base import Attack, Perturbed
from gauntlet.attacks.criterion import aimed, refuse_confidence, refuse_targets
from gauntlet.attacks.geometry.sizes import PerturbationNorm, changed_pixels
from gauntlet.attacks.libraries.network import LibraryNetwork, library_seed, mean_per_image
from gauntlet.contracts import PROCEDURES, Batch, Classifier, Cost, Criterion, Task, ThreatModel
from gauntlet.errors import ConfigurationError, ResourceUnavailable, did_you_mean
from gauntlet.setting_types import PositiveInt, Radius, parse_number

Setting = Annotated[bool | int | float | str | None, BeforeValidator(parse_number)]

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Fraction = Annotated[float, Field(gt=0, le=1)]
_RANGES: dict[str, Any] = {
    "steps": PositiveInt,
    "binary_search_steps": PositiveInt,
    "candidates": Annotated[int, Field(ge=2)] | None,
    "overshoot": _NotNegative,
    "loss": Literal["logits", "crossentropy"],
    "stepsize": _Positive,
    "initial_stepsize": _Positive,
    "confidence": _NotNegative,
    "initial_const": _Positive,
    "regularization": _NotNegative,
    "decision_rule": Literal["EN", "L1"],
    "abort_early": bool,
    "init_epsilon": _Positive,
    "gamma": _Fraction,
    "lr": _Positive,
    "lr_decay": _Fraction,
    "lr_num_decay": PositiveInt,
    "momentum": Annotated[float, Field(ge=0, lt=1)],
}
"""Values that the settings of the attacks may have, by name."""


@dataclass(frozen=True)
class Baseline:
    """One attack of Foolbox.

    Attributes:
        kind: its class in ``foolbox.attacks``.
        norm: that it minimizes; l0 counts pixels.
        summary: what it does, in a line.
        paper: where it is from.
        defaults: its settings with the values that Foolbox gives them.
        cost: passes per image, at most, with given settings.
        targeted: it can aim at a target.
        needs_start: it walks from a point that fools the network already.
    """

    kind: str
    norm: PerturbationNorm
    summary: str
    paper: str
    defaults: Mapping[str, Any]
    cost: Callable[[Mapping[str, Any], Task], Cost]
    targeted: bool = True
    needs_start: bool = False


DIRECTIONS = 1000
"""Most uniform images that the search for a starting point tries; as many steps follow towards the image."""


def _both(passes: float, forward: float = 0) -> Cost:
    return Cost(forward=passes + forward, backward=passes)


def _deepfool(kind: str, norm: PerturbationNorm) -> Baseline:
    return Baseline(
        kind,
        norm,
        "Step to the nearest linearized boundary until the class changes",
        "Moosavi-Dezfooli et al. 2016",
        {"steps": 50, "candidates": 10, "overshoot": 0.02, "loss": "logits"},
        lambda s, task: _both(s["steps"] * ((s["candidates"] or task.classes) - 1), 1),
        targeted=False,
    )


def _brendel_bethge(kind: str, norm: PerturbationNorm) -> Baseline:
    defaults = {
        "overshoot": 1.1,
        "steps": 1000,
        "lr": 1e-3,
        "lr_decay": 0.5,
        "lr_num_decay": 20,
        "momentum": 0.8,
        "binary_search_steps": 10,
    }
    return Baseline(
        kind,
        norm,
        "Walk along the boundary from a point beyond it, by the best step in a trust region",
        "Brendel et al. 2019",
        defaults,
        lambda s, _: _both(s["steps"], 2 * DIRECTIONS + s["binary_search_steps"]),
        needs_start=True,
    )


BASELINES: dict[str, Baseline] = {
    "deepfool_l2": _deepfool("L2DeepFoolAttack", "l2"),
    "deepfool_linf": _deepfool("LinfDeepFoolAttack", "linf"),
    "carlini_wagner_l2": Baseline(
        "L2CarliniWagnerAttack",
        "l2",
        "Lower the squared length plus a weighted hinge of the margin by Adam; search the weight",
        "Carlini and Wagner 2017",
        {
            "binary_search_steps": 9,
            "steps": 10000,
            "stepsize": 0.01,
            "confidence": 0,
            "initial_const": 1e-3,
            "abort_early": True,
        },
        lambda s, _: _both(s["binary_search_steps"] * s["steps"]),
    ),
    "elastic_net": Baseline(
        "EADAttack",
        "l1",
        "The attack of Carlini and Wagner with an elastic-net penalty",
        "Chen et al. 2018",
        {
            "binary_search_steps": 9,
            "steps": 10000,
            "initial_stepsize": 0.01,
            "confidence": 0.0,
            "initial_const": 1e-3,
            "regularization": 0.01,
            "decision_rule": "EN",
            "abort_early": True,
        },
        lambda s, _: _both(s["binary_search_steps"] * s["steps"], s["binary_search_steps"] * s["steps"]),
    ),
    "ddn": Baseline(
        "DDNAttack",
        "l2",
        "Decouple a perturbation's direction from its length, which shrinks after success and else grows",
        "Rony et al. 2019",
        {"init_epsilon": 1.0, "steps": 100, "gamma": 0.05},
        lambda s, _: _both(s["steps"]),
    ),
    "brendel_bethge_linf": _brendel_bethge("LinfinityBrendelBethgeAttack", "linf"),
    "brendel_bethge_l2": _brendel_bethge("L2BrendelBethgeAttack", "l2"),
    "brendel_bethge_l1": _brendel_bethge("L1BrendelBethgeAttack", "l1"),
    "brendel_bethge_l0": _brendel_bethge("L0BrendelBethgeAttack", "l0"),
}
"""The attacks by the name that configurations use."""


@PROCEDURES.register
@dataclass(frozen=True, kw_only=True)
class FoolboxAttack(Attack):
    """Run an attack of Foolbox.

    An image on which it fails keeps its clean pixels. The columns ``queries`` and ``backward_passes`` count
    passes through the network per image; Foolbox takes the whole batch through every step, so that the count
    is the batch's mean, rounded up, and ``iterations`` the same as the backward passes. The column ``pixels``
    counts changed pixels (``l0`` counts changed entries).

    Settings:
        attack: a name in ``BASELINES``.
        settings: settings of the Foolbox class; those left out have Foolbox's defaults.
        eps: clip the result to this radius (in the attack's own norm, pixel scale); by default the smallest
            perturbation found is returned as it is.
        target: samples aims at the targets of the samples, if they bring some; none ignores them.

    The trust region of the Brendel & Bethge attacks is ``lr`` times the number of entries of the whole batch,
    as Foolbox has it: their result depends on the chunk size. They need the package numba.

    Raises:
        ConfigurationError: unknown attack or setting; at work: targets for an attack that takes none.
    """

    name: ClassVar[str] = "foolbox"
    attack: str
    settings: dict[str, Setting] = field(default_factory=dict)
    eps: Radius | None = None
    target: Literal["samples", "none"] = "samples"

    def __post_init__(self) -> None:
        """Refuse what Foolbox would refuse, but before anything has run."""
        if self.attack not in BASELINES:
            raise ConfigurationError(
                "unknown attack of Foolbox",
                key="attack",
                found=self.attack,
                valid=did_you_mean(self.attack, BASELINES),
            )
        plan = BASELINES[self.attack]
        for setting in self.settings:
            if setting not in plan.defaults:
                raise ConfigurationError(
                    f"unknown setting of {self.attack}",
                    key=f"settings.{setting}",
                    found=setting,
                    valid=did_you_mean(setting, plan.defaults),
                )
            _check_range(setting, self.settings[setting])

    @property
    def threat_model(self) -> ThreatModel:
        """White-box; in the ball if there is a radius, else as small as possible."""
        norm = BASELINES[self.attack].norm
        family: Literal["minimum_norm", "fixed_budget"] = "fixed_budget" if self.eps else "minimum_norm"
        return ThreatModel(family, "white-box", norm, self.eps, "pixels" if norm == "l0" else norm)

    def cost(self, task: Task) -> Cost:
        """Passes of the attack's longest run, and those that look before and after."""
        plan = BASELINES[self.attack]
        return plan.cost({**plan.defaults, **self.settings}, task) + Cost(forward=2)

    def aim(self, model: Classifier, batch: Batch) -> Batch:
        """Return the batch with the criterion of the setting ``target``."""
        return aimed(model, batch, self.target)

    def find(self, model: Classifier, batch: Batch) -> Perturbed:
        """Return the smallest perturbations found; clean images where there are none."""
        if BASELINES[self.attack].targeted:
            refuse_confidence(batch, self.attack)
        else:
            refuse_targets(batch, self.attack)
        from foolbox import attacks
        from foolbox.models.pytorch import PyTorchModel

        plan = BASELINES[self.attack]
        try:
            attack = getattr(attacks, plan.kind)(**self.settings)
        except ModuleNotFoundError as missing:
            raise ResourceUnavailable(f"{self.attack} needs the package {missing.name}") from missing
        counted = LibraryNetwork(model)
        network = PyTorchModel(counted, bounds=(0, 1), device=batch.images.device)
        images = batch.images.clone()
        with library_seed(batch.generator):
            starts, started = self._starts(network, batch) if plan.needs_start else (None, None)
            chosen = (
                torch.arange(len(images), device=images.device)
                if started is None
                else started.nonzero()[:, 0]
            )
            if len(chosen):
                extra = {} if starts is None else {"starting_points": starts[chosen]}
                criterion = _library_criterion(batch.criterion.rows(chosen))
                _, found, success = attack(network, images[chosen], criterion, epsilons=self.eps, **extra)
                images[chosen] = torch.where(success[:, None, None, None], found, images[chosen])
        backward = mean_per_image(counted.backward_images, batch.labels)
        return Perturbed(
            images,
            iterations=backward,
            queries=mean_per_image(counted.forward_images, batch.labels),
            columns={"backward_passes": backward, "pixels": changed_pixels(images - batch.images)},
        )

    @staticmethod
    def _starts(network: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return a point that fools the network for each image, and for which images there is one.

        Uniform noise, blended with the image as far as the network allows; where none does it, the nearest
        other image of the batch that the network sees differently.
        """
        from foolbox.attacks.blended_noise import LinearSearchBlendedUniformNoiseAttack

        search = LinearSearchBlendedUniformNoiseAttack(directions=DIRECTIONS, steps=DIRECTIONS)
        criterion = batch.criterion
        with warnings.catch_warnings():
            # It warns where it fails, and then the nearest image steps in.
            warnings.simplefilter("ignore")
            starts = search.run(network, batch.images, _library_criterion(criterion))

        with torch.no_grad():
            found = criterion.met_by(network(starts))
            seen = network(batch.images).argmax(1)
        flat = batch.images.flatten(1)
        fools = seen[None] == criterion.classes[:, None]
        fools = fools if criterion.targeted else ~fools
        distance = torch.cdist(flat, flat).masked_fill(~fools, float("inf"))
        nearest = distance.argmin(1)
        usable = distance.gather(1, nearest[:, None]).squeeze(1).isfinite()
        starts = torch.where(found[:, None, None, None], starts, batch.images[nearest])
        return starts, found | usable


def _check_range(setting: str, value: Any) -> None:
    try:
        # Strict: neither "10" nor true is a number of steps. The value itself stays as it is written.
        _range_of(setting).validate_python(value, strict=True)
    except ValidationError as error:
        raise ConfigurationError(
            "the value cannot be used",
            key=f"settings.{setting}",
            found=repr(value),
            valid=error.errors()[0]["msg"],
        ) from None


@cache
def _range_of(setting: str) -> TypeAdapter[Any]:
    return TypeAdapter(_RANGES[setting])


def _library_criterion(criterion: Criterion) -> Any:
    from foolbox.criteria import Misclassification, TargetedMisclassification

    kind = TargetedMisclassification if criterion.targeted else Misclassification
    return kind(criterion.classes)
