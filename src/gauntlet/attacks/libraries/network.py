"""A network as an attack of another library may use it: counted, without gradients of its weights, seeded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gauntlet.contracts import Classifier


class LibraryNetwork(nn.Module):
    """The network with constant weights, which a library's backward passes leave no gradients in.

    Attributes:
        forward_images: images that went through forward passes so far.
        backward_images: images that went through backward passes so far.
    """

    def __init__(self, model: Classifier) -> None:
        """Wrap a classifier in eval mode."""
        super().__init__()
        # In a tuple, so that it is no submodule and keeps its own mode.
        self._model = (model,)
        self._constants = {name: weight.detach() for name, weight in model.named_parameters()}
        self.forward_images = 0
        self.backward_images = 0
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        self.forward_images += len(images)
        logits: Tensor = functional_call(self._model[0], self._constants, (images,))
        if logits.requires_grad:
            logits.register_hook(self._count_backward)
        return logits

    def _count_backward(self, gradient: Tensor) -> None:
        self.backward_images += len(gradient)


def mean_per_image(total: int, labels: Tensor) -> Tensor:
    """Spread a batch's count over its images, rounded up, ``[N]``."""
    return torch.full_like(labels, -(-total // max(1, len(labels))))


@contextmanager
def library_seed(generator: torch.Generator) -> Iterator[int]:
    """Yield a seed drawn from the generator; put torch's global generators back afterwards."""
    device = generator.device
    seed = int(torch.randint(2**31, (1,), generator=generator, device=device))
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield seed
