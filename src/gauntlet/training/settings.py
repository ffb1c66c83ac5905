"""Settings of a training: the grammar of a model's ``training``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gauntlet.setting_types import Number, PositiveInt, Radius
from gauntlet.training.schedules import Constant, Schedule, Strict

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


class Crop(Strict):
    """Pad with black, then cut out a square of the old size at a random place."""

    name: Literal["crop"]
    padding: PositiveInt = 4


class Flip(Strict):
    """Mirror left and right with probability 1/2."""

    name: Literal["flip"]


Augmentation = Annotated[Crop | Flip, Field(discriminator="name")]


class TrainingSettings(Strict):
    """Settings of a training.

    Settings:
        epochs: passes over the training images.
        batch_size: images per parameter update; the last batch of an epoch may be smaller.
        optimizer: ``sgd`` or ``adam``, with its largest learning rate.
        schedule: the factor on that learning rate as training goes on.
        augmentation: applied in order to every batch; empty for none.
        samples: how many training images to use, the same for every model of a data set; null for all.
        precision: ``auto`` computes in bfloat16 on GPUs that have it, ``float32`` never does.
        evaluate_every: epochs between two measurements of the test accuracy; the last epoch is always
            measured.
        evaluate_noise: standard deviation, in pixel scale, of Gaussian noise under which the test accuracy is
            measured a second time, with one draw per image; null for no such measurement.
    """

    epochs: PositiveInt
    batch_size: PositiveInt = 128
    optimizer: Annotated[Sgd | Adam, Field(discriminator="name")]
    schedule: Schedule = Constant(name="constant")
    augmentation: tuple[Augmentation, ...] = ()
    samples: PositiveInt | None = None
    precision: Literal["auto", "float32"] = "auto"
    evaluate_every: PositiveInt = 1
    # Left out of the specification where it is off: it changes nothing about such a training.
    evaluate_noise: Radius | None = Field(None, exclude_if=lambda sigma: sigma is None)
