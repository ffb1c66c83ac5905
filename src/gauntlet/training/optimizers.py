"""Optimizers: their settings, and the optimizer of a network's parameters."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from gauntlet.setting_types import Number
from gauntlet.training.schedules import Strict

LearningRate = Annotated[Number, Field(gt=0, allow_inf_nan=False)]


class Sgd(Strict):
    """Stochastic gradient descent with momentum."""

    name: Literal["sgd"]
    lr: LearningRate
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    weight_decay: Annotated[float, Field(ge=0)] = 0.0


class Adam(Strict):
    """Adam (Kingma & Ba 2015)."""

    name: Literal["adam"]
    lr: LearningRate
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    weight_decay: Annotated[float, Field(ge=0)] = 0.0


OptimizerSettings = Annotated[Sgd | Adam, Field(discriminator="name")]


def make_optimizer(settings: Sgd | Adam, model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of a model's parameters; one fused kernel updates them all."""
    parameters = model.parameters()
    if isinstance(settings, Sgd):
        return torch.optim.SGD(
            parameters,
            lr=settings.lr,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=settings.weight_decay,
            fused=True,
        )
    return torch.optim.Adam(
        parameters,
        lr=settings.lr,
        betas=(settings.beta1, settings.beta2),
        weight_decay=settings.weight_decay,
        fused=True,
    )
