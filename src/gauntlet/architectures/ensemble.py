"""Ensembles: several networks of one architecture that answer as one classifier."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gauntlet.contracts import ARCHITECTURES, AnyArchitecture, Architecture

Average = Literal["logits", "probabilities"]


class AveragedNetworks(nn.Module):
    """Average what several networks say about the same images.

    Args:
        members: the networks.
        average: ``logits`` averages these; ``probabilities`` averages the softmax outputs and returns their
            logarithm, which has the same softmax as logits would.
    """

    def __init__(self, members: Iterable[nn.Module], average: Average) -> None:
        """Take the members over; they all answer."""
        super().__init__()
        self.members = nn.ModuleList(members)
        self._average = average
        self._answering = range(len(self.members))

    def forward(self, images: Tensor) -> Tensor:
        """Return the averaged logits ``[N, K]``."""
        logits = [self.members[number](images) for number in self._answering]
        if len(logits) == 1:
            return logits[0]
        if self._average == "logits":
            return torch.stack(logits).mean(0)
        return torch.stack(logits).log_softmax(-1).logsumexp(0) - math.log(len(logits))

    @contextmanager
    def only(self, number: int) -> Iterator[None]:
        """Let one member answer alone, so that it can be trained behind the layers all members share."""
        self._answering = range(number, number + 1)
        try:
            yield
        finally:
            self._answering = range(len(self.members))


@ARCHITECTURES.register
@dataclass(frozen=True, kw_only=True)
class Ensemble(Architecture):
    """Networks of one architecture with different initial weights, averaged.

    Settings:
        member: architecture of every member.
        members: how many.
        average: of the ``logits`` or of the ``probabilities``.

    Source: song, section 5.1 (three ResNet-110, after Horvath et al. 2022, who average logits).
    """

    name: ClassVar[str] = "ensemble"
    member: AnyArchitecture
    members: Annotated[int, Field(ge=2)] = 3
    average: Average = "logits"

    def build(self, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the members one after the other; see Architecture."""
        return AveragedNetworks(
            (self.member.build(input_shape, classes) for _ in range(self.members)), self.average
        )
