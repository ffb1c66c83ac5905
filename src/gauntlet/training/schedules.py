"""Learning-rate schedules: the factor on the learning rate, a pure function of how far training is."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from gauntlet.contracts import Progress
from gauntlet.setting_types import Share


class Strict(BaseModel):
    """Base of the settings: unknown keys are errors, instances do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Constant(Strict):
    """The same learning rate throughout."""

    name: Literal["constant"]

    def factor(self, progress: Progress) -> float:
        """Return 1."""
        return 1.0


class Step(Strict):
    """Multiply by ``factor`` at each milestone.

    Settings:
        milestones: shares of training, in [0, 1]; ``50/150`` is the end of epoch 50 of 150. Shares keep
            their meaning when a scale trains for fewer epochs. They take effect between epochs.
        by: what the learning rate is multiplied by.
    """

    name: Literal["step"]
    milestones: Annotated[tuple[Share, ...], Field(min_length=1)]
    by: Share = 0.1

    def factor(self, progress: Progress) -> float:
        """Return ``by`` to the power of the milestones passed."""
        tolerance = 1e-6  # 1/3 of 150 epochs is 50 epochs.
        return self.by ** sum(
            progress.epoch >= share * progress.epochs - tolerance for share in self.milestones
        )


class Exponential(Strict):
    """Multiply by ``by`` after every epoch that follows the first ``after``.

    Settings:
        by: what the learning rate is multiplied by.
        after: share of training before the decay, rounded to whole epochs.
    """

    name: Literal["exponential"]
    by: Share
    after: Share = 0.0

    def factor(self, progress: Progress) -> float:
        """Return ``by`` to the power of the epochs finished since the decay began."""
        return self.by ** max(0, progress.epoch - round(self.after * progress.epochs))


class Cyclic(Strict):
    """One triangle, update by update: from 0 up to the learning rate and back to 0 (Smith 2017).

    Momentum stays as it is: torch's own cyclic schedule lowers it towards the peak unless told not to, which
    chen2021, section 5.12, leaves open.

    Settings:
        peak: share of training at which the learning rate is reached.
    """

    name: Literal["cyclic"]
    peak: Annotated[Share, Field(gt=0, lt=1)] = 0.5

    def factor(self, progress: Progress) -> float:
        """Return the height of the triangle at this update."""
        share = progress.step / progress.steps
        return share / self.peak if share <= self.peak else (1 - share) / (1 - self.peak)


class Cosine(Strict):
    """Half a cosine from 1 to 0, epoch by epoch (Loshchilov & Hutter 2017)."""

    name: Literal["cosine"]

    def factor(self, progress: Progress) -> float:
        """Return (1 + cos(pi e / E)) / 2 for e finished epochs of E."""
        return 0.5 * (1 + math.cos(math.pi * progress.epoch / progress.epochs))


Schedule = Annotated[Constant | Step | Exponential | Cyclic | Cosine, Field(discriminator="name")]
