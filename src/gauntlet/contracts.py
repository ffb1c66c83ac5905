"""Promises between the parts of Gauntlet: classifiers, batches, procedures, outcomes, cost.

A *classifier* is an ``nn.Module`` from float32 images ``[N, C, H, W]`` in [0, 1] to logits ``[N, K]``. It
normalizes its input itself, so that every radius is in pixel scale.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, Literal, Protocol, runtime_checkable

import torch
from pydantic import PlainSerializer, PlainValidator, WithJsonSchema
from torch import Tensor, nn

from gauntlet.registry import Registry

Classifier = nn.Module


@dataclass(frozen=True)
class LabelledImages:
    """Images with their true classes.

    Attributes:
        images: uint8, or float32 in [0, 1], ``[R, C, H, W]``.
        labels: int64 ``[R]``.
    """

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Criterion:
    """Success, image by image: another class than the true one, or the target.

    Attributes:
        classes: the class to leave or, if ``targeted``, to reach, int64 ``[N]``.
        targeted: whether ``classes`` are targets.
        confidence: by how much the logit of a class that counts must exceed those of all that do not.
    """

    classes: Tensor
    targeted: bool
    confidence: float = 0.0

    def rows(self, rows: Tensor) -> Criterion:
        """Return the criterion of some images only (indices or mask)."""
        return Criterion(self.classes[rows], self.targeted, self.confidence)

    def margin(self, logits: Tensor) -> Tensor:
        """Return by how much the classes that do not count lead over those that do, ``[N]``.

        That is the true logit less the largest other one (matyasko2020, eq. 5.2), or the largest other logit
        less the target's.
        """
        chosen = logits.gather(1, self.classes[:, None]).squeeze(1)
        others = logits.scatter(1, self.classes[:, None], -torch.inf).amax(1)
        return others - chosen if self.targeted else chosen - others

    def met_by(self, logits: Tensor) -> Tensor:
        """Return whether each image's logits ``[N, K]`` are a success, bool ``[N]``."""
        if self.confidence > 0:
            return self.margin(logits) <= -self.confidence
        return self.met_by_class(logits.argmax(1))

    def met_by_class(self, predictions: Tensor) -> Tensor:
        """Return whether each predicted class is a success, bool ``[N]``; it tells nothing of confidence."""
        return (predictions == self.classes) if self.targeted else (predictions != self.classes)


@dataclass(frozen=True)
class Batch:
    """The images that a procedure works on at once: one chunk of an evaluation.

    Attributes:
        images: float32 ``[N, C, H, W]`` in [0, 1].
        labels: true classes, int64 ``[N]``.
        indices: position of each image in its data set split, int64 ``[N]``.
        generator: the only source of randomness, on the device of the images.
        targets: classes that attacks aim at, int64 ``[N]``, None for success by any wrong class.
        references: training images, for attacks that start from images of other classes, or None.
        confidence: of the criterion.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    generator: torch.Generator
    targets: Tensor | None = None
    references: LabelledImages | None = None
    confidence: float = 0.0

    def __len__(self) -> int:
        return len(self.images)

    @property
    def criterion(self) -> Criterion:
        """Success for every attack on this batch."""
        if self.targets is None:
            return Criterion(self.labels, targeted=False, confidence=self.confidence)
        return Criterion(self.targets, targeted=True, confidence=self.confidence)

    def select(self, rows: Tensor) -> Batch:
        """Return the batch of some images only (indices or mask), with the same generator."""
        return replace(
            self,
            images=self.images[rows],
            labels=self.labels[rows],
            indices=self.indices[rows],
            targets=None if self.targets is None else self.targets[rows],
        )


@dataclass(frozen=True)
class Outcome:
    """Result of a procedure, image by image.

    Attributes:
        columns: one 1-D tensor ``[N]`` per column of the evaluation's table.
        images: the images to keep, float32 ``[N, C, H, W]`` (of an attack: its final images), or None.
    """

    columns: dict[str, Tensor]
    images: Tensor | None = None


@dataclass(frozen=True)
class Task:
    """The images and classes that a network is for.

    Attributes:
        shape: channels, height and width of an image.
        classes: number of classes.
    """

    shape: tuple[int, int, int]
    classes: int

    @property
    def values(self) -> int:
        """Entries of an image: pixels times channels."""
        channels, height, width = self.shape
        return channels * height * width


@dataclass(frozen=True)
class Cost:
    """Passes through the network that one image costs, on average; the plan multiplies them out.

    Attributes:
        forward: forward passes.
        backward: passes back to the input or to activations; each costs about as much as a forward pass.
        weight_gradients: backward passes that also yield gradients of the weights, which costs as much again.
    """

    forward: float = 0.0
    backward: float = 0.0
    weight_gradients: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.forward + other.forward,
            self.backward + other.backward,
            self.weight_gradients + other.weight_gradients,
        )

    def __mul__(self, times: float) -> Cost:
        return Cost(self.forward * times, self.backward * times, self.weight_gradients * times)

    @property
    def passes(self) -> float:
        """The cost in forward passes."""
        return self.forward + self.backward + self.weight_gradients


@dataclass(frozen=True)
class ThreatModel:
    """Knowledge and limits of an attack, and where the size of its perturbation is recorded.

    Attributes:
        family: fixed_budget attacks stay in a ball; minimum_norm attacks look for the smallest perturbation;
            score_based and decision_based ones ask the network queries; reference is noise, drawn without
            the network.
        knowledge: of the network: its gradients (white-box), its logits (scores), its predicted class (labels)
            or nothing.
        norm: in which the perturbation is bounded or minimized, None for an attack of another kind.
        radius: of the ball, in pixel scale (l0: pixels), None for an attack that minimizes the perturbation.
        distance: column of the outcome with the size of the smallest perturbation found.
    """

    family: Literal["fixed_budget", "minimum_norm", "score_based", "decision_based", "reference"]
    knowledge: Literal["white-box", "scores", "labels", "none"]
    norm: Literal["linf", "l2", "l1", "l0"] | None
    radius: float | None
    distance: str


class Procedure(ABC):
    """An attack, a certificate or a measure: a frozen dataclass whose fields are its settings."""

    name: ClassVar[str]

    @property
    def threat_model(self) -> ThreatModel | None:
        """Threat model of an attack; None for a certificate or a measure."""
        return None

    @abstractmethod
    def run(self, model: Classifier, batch: Batch) -> Outcome:
        """Apply the procedure to every image of the batch. The model is in eval mode."""

    @abstractmethod
    def cost(self, task: Task) -> Cost:
        """Return the passes per image, at most."""


class Defence(ABC):
    """A way to train: turns a batch of images into the loss whose gradient updates the network."""

    name: ClassVar[str]

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch, progress: Progress) -> Loss:
        """Return the training loss of one batch. The model is in train mode, and is again on return."""

    @abstractmethod
    def cost(self, task: Task) -> Cost:
        """Return the passes per training image and epoch."""

    def companions(self, task: Task) -> Mapping[str, Companion]:
        """Return the networks that are trained beside the classifier, by name; most defences have none.

        Fresh weights are drawn from torch's global generator.
        """
        return {}


@dataclass(frozen=True)
class Companion:
    """A network that a defence trains beside the classifier, such as a critic or a generator.

    The defence takes its steps inside ``loss``, as many per batch as it needs. Weights, buffers and moments
    outlive an interruption; the learning rate follows the schedule of the training.

    Attributes:
        network: in train mode.
        optimizer: holds the network's parameters.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer

    def step(self, loss: Tensor) -> None:
        """Update the network by the gradient of a loss, and leave no gradient behind.

        The classifier's parameters collect none, also where the loss depends on them.
        """
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        self.optimizer.step()
        self.optimizer.zero_grad()

    def scale_learning_rate(self, factor: float) -> None:
        """Set the learning rate to a part of the one that the optimizer was made with."""
        for group in self.optimizer.param_groups:
            group["lr"] = factor * group.setdefault("initial_lr", group["lr"])


@dataclass(frozen=True)
class Progress:
    """Progress of a training.

    Attributes:
        epoch: number of finished epochs (0 in the first).
        epochs: number of epochs in all.
        step: number of finished parameter updates.
        steps: number of updates in all.
        state: the defence's own, as its last ``Loss`` left it; empty before the first update.
        companions: the networks that the defence trains beside the classifier, by name.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    state: Mapping[str, Tensor] = field(default_factory=dict)
    companions: Mapping[str, Companion] = field(default_factory=dict)


@dataclass(frozen=True)
class Loss:
    """A training loss and what the epoch's progress line and history say about it.

    Attributes:
        value: scalar to differentiate.
        logits: the logits ``[N, K]`` that training accuracy is measured on.
        parts: further scalars to average over the epoch into the history, by column name.
        state: scalars that the defence wants back at the next update, by name. They stay on the device, carry
            no gradient, outlive an interruption, and their last values in an epoch go into the history.
        perturbed: the attacked images that were learned from, ``[N, C, H, W]``, if there are any.
    """

    value: Tensor
    logits: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)
    state: dict[str, Tensor] = field(default_factory=dict)
    perturbed: Tensor | None = None


class Architecture(ABC):
    """A network's plan: a frozen dataclass whose fields are its hyper-parameters."""

    name: ClassVar[str]

    @abstractmethod
    def build(self, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the network with fresh weights, drawn from torch's global generator.

        Args:
            input_shape: channels, height, width.
            classes: number of logits.
        """


@runtime_checkable
class FitsImages(Protocol):
    """A layer that takes something from the training images that is not learnt by gradients."""

    def fit(self, images: Tensor) -> None:
        """Look at all training images, uint8 ``[N, C, H, W]``, once, before the first epoch."""


@runtime_checkable
class DeclaresAttackSpace(Protocol):
    """A network that is attacked, and whose gradients are penalized, behind its first layers.

    Attributes:
        network: what reads the points of that space.
    """

    network: nn.Module

    def to_attack_space(self, images: Tensor) -> Tensor:
        """Return what the first layers make of images ``[N, C, H, W]`` in [0, 1]; in train mode augmented."""


@runtime_checkable
class LearnsFromStreams(Protocol):
    """A defence that trains parts of a network on images of their own."""

    def streams(self, model: nn.Module) -> int:
        """Return how many orders of the images are drawn independently; a batch joins one batch of each."""


PROCEDURES: Registry[Procedure] = Registry(
    "procedure", ["gauntlet.attacks", "gauntlet.certification", "gauntlet.measures"]
)
DEFENCES: Registry[Defence] = Registry("defence", ["gauntlet.defences"])
ARCHITECTURES: Registry[Architecture] = Registry("architecture", ["gauntlet.architectures"])


AnyProcedure = Annotated[
    Procedure,
    PlainValidator(PROCEDURES.parse),
    PlainSerializer(PROCEDURES.dump),
    WithJsonSchema({"component": "procedure"}),
]
"""Type of a setting that is itself a procedure, such as the attack inside adversarial training."""

AnyDefence = Annotated[
    Defence,
    PlainValidator(DEFENCES.parse),
    PlainSerializer(DEFENCES.dump),
    WithJsonSchema({"component": "defence"}),
]
"""Type of a setting that is itself a defence, such as what each member of an ensemble is trained with."""

AnyArchitecture = Annotated[
    Architecture,
    PlainValidator(ARCHITECTURES.parse),
    PlainSerializer(ARCHITECTURES.dump),
    WithJsonSchema({"component": "architecture"}),
]
"""Type of a setting that is itself an architecture, such as the member of an ensemble."""
