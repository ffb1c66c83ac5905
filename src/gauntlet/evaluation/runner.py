"""Run one shard of an evaluation: procedures over chunks, each finished chunk kept on disk."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gauntlet.contracts import PROCEDURES, Batch, LabelledImages, Outcome
from gauntlet.datasets import ImageSet
from gauntlet.errors import DataError
from gauntlet.evaluation.chunks import ChunkStore, identity_of, seconds_of
from gauntlet.evaluation.selection import Selection, select
from gauntlet.runtime.checksums import discard, readable, sealed_path
from gauntlet.runtime.job import log
from gauntlet.runtime.manifest import Recorder
from gauntlet.runtime.memory import in_passes_that_fit
from gauntlet.runtime.seeding import generator_for, seed_for
from gauntlet.runtime.tables import unify, write_with_manifest


@dataclass(frozen=True)
class Shard:
    """Part ``number`` of ``of`` parts; parts are runs of whole chunks."""

    number: int
    of: int

    def chunks(self, total: int) -> range:
        """Return the chunk numbers of this part."""
        bounds = [total * part // self.of for part in range(self.of + 1)]
        return range(bounds[self.number], bounds[self.number + 1])


def run_shard(
    specification: Mapping[str, Any],
    model: nn.Module,
    images: ImageSet,
    *,
    weights_sha256: str,
    shard: Shard,
    cache: Path,
    output: Path,
    device: torch.device,
    training_images: ImageSet | None = None,
) -> None:
    """Run every procedure on the shard's chunks and write its table (and kept images).

    A chunk's randomness is seeded from the global seed, the evaluation, the procedure and the chunk number, so
    that results do not depend on how the work was cut or interrupted.

    Args:
        specification: the evaluation's specification.
        model: classifier in eval mode on ``device``.
        images: the split that is sampled.
        weights_sha256: identifies the model.
        shard: which chunks to do.
        cache: folder of finished chunks; chunks of other specifications in it are removed.
        output: parquet file; kept images go beside it with the suffix ``.npz``.
        training_images: where references are taken from, if the evaluation wants any.
    """
    recorder = Recorder(device)
    store = ChunkStore(cache, specification, identity_of(specification, images, weights_sha256))
    references = _references(specification, training_images, device)
    selection = _load_selection(store, model, images, device)
    procedures = {name: PROCEDURES.parse(entry) for name, entry in specification["procedures"].items()}
    store.remove_stale()
    store.remove_damaged()
    chunks = shard.chunks(-(-len(selection) // specification["chunk"]))
    pending = [(name, number) for number in chunks for name in procedures if (name, number) not in store]
    done = len(chunks) * len(procedures) - len(pending)
    if done:
        log(f"{done} of {done + len(pending)} chunks were finished before")

    def run(name: str, number: int) -> Outcome:
        batch = _batch(store, selection, images, name, number, device, references)
        return procedures[name].run(model, batch)

    for (name, number), line in zip(pending, _progress(len(pending)), strict=False):
        started = time.perf_counter()
        outcome = in_passes_that_fit(
            model,
            specification["chunk"],
            functools.partial(run, name, number),
            setting=f"the evaluation's chunk, or what {name} computes at once",
        )
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        store.write(name, number, selection, images, outcome, time.perf_counter() - started)
        line(f"{name}, chunk {number + 1}")
    _write_shard(output, store, selection, chunks, recorder, images, shards=shard.of)


def _batch(
    store: ChunkStore,
    selection: Selection,
    images: ImageSet,
    procedure: str,
    number: int,
    device: torch.device,
    references: LabelledImages | None,
) -> Batch:
    specification, where = store.specification, store.where(number)
    indices, targets = selection.indices[where], selection.targets[where]
    return Batch(
        images=images.tensor(indices, device),
        labels=images.labels_tensor(indices, device),
        indices=torch.from_numpy(indices).to(device),
        generator=generator_for(
            device,
            specification["seed"],
            specification["work"],
            specification["evaluation"],
            procedure,
            number,
        ),
        targets=torch.from_numpy(targets).to(device) if (targets >= 0).all() else None,
        references=references,
    )


def _references(
    specification: Mapping[str, Any], training_images: ImageSet | None, device: torch.device
) -> LabelledImages | None:
    """Return the training images that every chunk is given: the first of a permutation that the seed fixes."""
    if not specification["references"] or training_images is None:
        return None
    order = np.random.default_rng(seed_for(specification["seed"], "references")).permutation(
        len(training_images)
    )
    chosen = np.sort(order[: specification["references"]])
    return LabelledImages(
        torch.from_numpy(np.array(training_images.images[chosen])).to(device),
        training_images.labels_tensor(chosen, device),
    )


def _write_shard(
    output: Path,
    store: ChunkStore,
    selection: Selection,
    chunks: range,
    recorder: Recorder,
    images: ImageSet,
    shards: int,
) -> None:
    by_procedure = {name: store.tables(name, chunks) for name in store.folders}
    table = unify([piece for pieces in by_procedure.values() for piece in pieces])
    manifest = recorder.manifest(
        store.specification,
        shard_rows=table.num_rows,
        selection={"samples": len(selection), "skipped": selection.skipped.tolist()},
        procedure_seconds={
            name: sum(seconds_of(piece) for piece in pieces) for name, pieces in by_procedure.items()
        },
        dataset=images.manifest.get("source"),
        dataset_warnings=images.manifest.get("warnings", []),
        shards=shards,
    )
    arrays: dict[str, Any] = store.kept_images(chunks)
    if arrays:
        start = store.where(chunks.start).start
        longest = max(len(array) for array in arrays.values())
        clean = images.tensor(selection.indices[start : start + longest], torch.device("cpu"))
        arrays = {"clean": clean.numpy(), **arrays}
    # Written even when empty, so that the workflow can rely on the file.
    with sealed_path(output.with_suffix(".npz")) as temporary:
        np.savez(temporary, **arrays)
    write_with_manifest(output, table, manifest)


def _load_selection(store: ChunkStore, model: nn.Module, images: ImageSet, device: torch.device) -> Selection:
    """Select the samples, or read what an earlier run selected for the same model and images."""
    file = store.selection_file
    if file.exists():
        try:
            with readable(file), np.load(file) as stored:
                return Selection(stored["indices"], stored["targets"], stored["correct"], stored["skipped"])
        except DataError as error:
            discard(file, error)
    specification = store.specification
    selection = select(
        specification["samples"],
        images,
        model,
        seed=specification["seed"],
        block=specification["chunk"],
        device=device,
    )
    with sealed_path(file) as temporary:
        np.savez(
            temporary,
            indices=selection.indices,
            targets=selection.targets,
            correct=selection.correct,
            skipped=selection.skipped,
        )
    return selection


def _progress(total: int, every: float = 10.0) -> Iterator[Any]:
    """Yield, per chunk, the function that reports it; prints at most one line in ``every`` seconds."""
    start = last = time.monotonic()
    for count in range(1, total + 1):

        def report(what: str, count: int = count) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= every or count == total:
                last = now
                left = (now - start) / count * (total - count)
                log(f"{count}/{total} chunks, about {left:.0f} s left ({what})")

        yield report
