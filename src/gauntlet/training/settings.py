"""Settings of a training: the grammar of a model's ``training``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gauntlet.attacks.base import Attack
from gauntlet.contracts import AnyProcedure
from gauntlet.errors import ConfigurationError, did_you_mean
from gauntlet.setting_types import Number, PositiveInt, Radius, Share
from gauntlet.training.optimizers import OptimizerSettings
from gauntlet.training.schedules import Constant, Schedule, Strict


class Crop(Strict):
    """Pad with black, then cut out a square of the old size at a random place."""

    name: Literal["crop"]
    padding: PositiveInt = 4


class Flip(Strict):
    """Mirror left and right with probability 1/2."""

    name: Literal["flip"]


class ResizedCrop(Strict):
    """Cut out a part of random size, shape and place and scale it to the size of the image (Szegedy et al. 2015).

    Settings:
        smallest: smallest area of the part, as a share of the image's.
        stretch: largest ratio of width to height, and of height to width.
    """

    name: Literal["resized_crop"]
    smallest: Annotated[Share, Field(gt=0)] = 0.08
    stretch: Annotated[Number, Field(ge=1, allow_inf_nan=False)] = 4 / 3


Augmentation = Annotated[Crop | Flip | ResizedCrop, Field(discriminator="name")]

NATURAL, ROBUST, STABLE = "natural_accuracy", "robust_accuracy", "perturbation_stability"
"""Shares of the watched images: right as they are; right also under attack; of the same class under attack."""


class Watch(Strict):
    """Procedures that are run on a sample between epochs, into the history.

    Columns: ``<watch>_natural_accuracy``; for an attack ``<watch>_<procedure>_robust_accuracy`` and
    ``..._perturbation_stability``; for another procedure the mean of each of its columns, as
    ``<watch>_<procedure>_<column>``. Every epoch sees the same random draws, and no evaluation does.

    Settings:
        procedures: attacks and measures by name.
        split: images of the ``test`` or ``train`` split, unaugmented, or ``held_out`` ones of the training split:
            those of ``validation`` or, without it, those that ``samples`` leaves out.
        count: the first so many of them; null for all.
        every: epochs between two runs; the last epoch is always watched.
        from_epoch: the first epoch, from 1, that is watched.
        precision: ``auto`` computes in bfloat16 on GPUs that have it.
    """

    procedures: Annotated[dict[str, AnyProcedure], Field(min_length=1)]
    split: Literal["test", "train", "held_out"] = "test"
    count: PositiveInt | None = None
    every: PositiveInt = 1
    from_epoch: PositiveInt = 1
    precision: Literal["auto", "float32"] = "float32"

    def sees(self, epoch: int, epochs: int) -> bool:
        """Whether the network is watched after an epoch, counted from 1."""
        return epoch == epochs or (epoch >= self.from_epoch and (epoch - self.from_epoch) % self.every == 0)

    def accuracies(self) -> list[str]:
        """Return the columns, without the watch's name, of which more is better."""
        attacks = [name for name, procedure in self.procedures.items() if isinstance(procedure, Attack)]
        return [NATURAL, *(f"{attack}_{share}" for attack in attacks for share in (ROBUST, STABLE))]


class SecondPool(Strict):
    """Further images to learn from, such as ones with pseudo-labels.

    Settings:
        dataset: whose training split they are; it has the shape and the classes of the model's own.
        share: of each batch. The number of updates of an epoch stays that of the own images alone.
    """

    dataset: str
    share: Annotated[Share, Field(gt=0, lt=1)] = 0.5


class Validation(Strict):
    """Training images that are not learned from: what hyper-parameters are chosen by.

    Settings:
        count: how many.
        choose: at ``random``, drawn by the model's seed; or the ``first`` or ``last`` ones of the split.
    """

    count: PositiveInt
    choose: Literal["random", "first", "last"] = "random"


class Expectation(Strict):
    """Results without which a trained network is none of those that a work is about.

    Settings:
        test_accuracy: smallest share of test images that it must classify correctly.
    """

    test_accuracy: Share


def _is_off(value: Any) -> bool:
    return not value


def _is_error(value: Any) -> bool:
    return value == "error"


class TrainingSettings(Strict):
    """Settings of a training.

    Settings:
        epochs: passes over the training images.
        batch_size: images per parameter update; the last batch of an epoch may be smaller.
        optimizer: ``sgd`` or ``adam``, with its largest learning rate.
        schedule: the factor on that learning rate as training goes on.
        augmentation: applied in order to every batch; empty for none.
        samples: how many training images to use, the same for every model of a data set; null for all.
        second_pool: further images, mixed into every batch; null for none.
        precision: ``auto`` computes in bfloat16 on GPUs that have it, ``float32`` never does. Attacks inside a
            defence have a precision of their own, a setting of the defence.
        evaluate_every: epochs between two measurements of the test accuracy; the last epoch is always
            measured.
        evaluate_noise: standard deviation, in pixel scale, of Gaussian noise under which the test accuracy is
            measured a second time, with one draw per image; null for no such measurement.
        weight_averaging: decay per update of an exponential moving average of the weights, which is then what
            is measured, watched and kept; null to keep the weights themselves.
        watch: what is watched between epochs, by name. It changes no weight and costs no training time.
        choose: watched accuracy whose best epoch is kept, such as ``selection_pgd_robust_accuracy``; the last
            epoch's weights are kept beside it. Null keeps the last ones only.
        expect: what the kept network must reach; else the training ends in an error.
        validation: training images that are held out; the accuracy on them is in the history as
            ``validation_accuracy``. Null holds none out.
        divergence: what a loss that is no longer finite means: an ``error``, or an end of the training that is
            a result by itself (``record``): the manifest's ``diverged_at_epoch`` tells it.
    """

    epochs: PositiveInt
    batch_size: PositiveInt = 128
    optimizer: OptimizerSettings
    schedule: Schedule = Constant(name="constant")
    augmentation: tuple[Augmentation, ...] = ()
    samples: PositiveInt | None = None
    precision: Literal["auto", "float32"] = "auto"
    evaluate_every: PositiveInt = 1
    # Left out of the specification where they are off: they change nothing about such a training.
    second_pool: SecondPool | None = Field(None, exclude_if=_is_off)
    evaluate_noise: Radius | None = Field(None, exclude_if=_is_off)
    weight_averaging: Annotated[Share, Field(lt=1)] | None = Field(None, exclude_if=_is_off)
    watch: dict[str, Watch] = Field({}, exclude_if=_is_off)
    choose: str | None = Field(None, exclude_if=_is_off)
    expect: Expectation | None = Field(None, exclude_if=_is_off)
    validation: Validation | None = Field(None, exclude_if=_is_off)
    divergence: Literal["error", "record"] = Field("error", exclude_if=_is_error)

    @model_validator(mode="after")
    def _chooses_what_is_watched(self) -> TrainingSettings:
        watched = [f"{name}_{column}" for name, watch in self.watch.items() for column in watch.accuracies()]
        if self.choose is not None and self.choose not in watched:
            raise ConfigurationError(
                "the accuracy that chooses the epoch is not watched",
                key="choose",
                found=self.choose,
                valid=did_you_mean(self.choose, watched) if watched else "a watch that measures it",
            )
        held_out = self.samples is not None or self.validation is not None
        if not held_out and any(watch.split == "held_out" for watch in self.watch.values()):
            raise ConfigurationError(
                "no training image is held out",
                key="samples",
                valid="the number of images to train on, or a validation split",
            )
        return self
