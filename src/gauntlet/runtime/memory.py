"""Out of memory on a GPU: the same work in smaller passes, or an error that names the setting to change."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gauntlet.errors import GauntletError
from gauntlet.runtime.job import log

Result = TypeVar("Result")


def in_passes_that_fit(model: nn.Module, images: int, run: Callable[[], Result], *, setting: str) -> Result:
    """Return what ``run`` returns; where memory does not suffice, run it again with passes of half as many images.

    A network in eval mode treats each image on its own, so that the size of a pass decides nothing but the last bits.
    ``run`` must begin anew each time it is called, random numbers included.

    Args:
        model: the network, called as a whole in ``run``. Passes through its layers one by one stay as they are.
        images: size of a pass as long as memory suffices; larger ones are cut to the same size from then on.
        run: calls the network.
        setting: what to change if passes of one image are too large.

    Raises:
        GauntletError: memory does not suffice for passes of one image.
    """
    limit: int | None = None
    while True:
        try:
            with passes_of_at_most(model, limit):
                return run()
        except torch.OutOfMemoryError as error:
            if limit == 1:
                raise GauntletError(
                    f"the GPU's memory does not suffice, not even with passes of one image: {error}; lower {setting}"
                ) from None
        # Out of the handler: the error's frames hold the tensors of the pass that failed.
        limit = max(1, (limit or images) // 2)
        log(f"out of memory; going on with passes of at most {limit} images")
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


@contextmanager
def passes_of_at_most(model: nn.Module, limit: int | None) -> Iterator[None]:
    """Cut each call of a network into passes of at most ``limit`` images, None for no cuts.

    Where gradients are wanted each pass is computed once more on the way back, so that the activations of one pass
    are in memory at a time.
    """
    if limit is None:
        yield
        return
    whole = model.forward

    def in_parts(images: Tensor) -> Tensor:
        if len(images) <= limit:
            return whole(images)
        if not torch.is_grad_enabled():
            return torch.cat([whole(part) for part in images.split(limit)])
        return torch.cat([checkpoint(whole, part, use_reentrant=False) for part in images.split(limit)])

    model.forward = in_parts
    try:
        yield
    finally:
        del model.forward


@contextmanager
def advised_if_out_of_memory(setting: str) -> Iterator[None]:
    """Turn an error of a GPU without memory into one that names the setting to change.

    Raises:
        GauntletError: the GPU's memory did not suffice.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise GauntletError(f"the GPU's memory does not suffice: {error}; lower {setting}") from None
