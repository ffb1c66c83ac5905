"""Run one shard of an evaluation: procedures over chunks, each finished chunk kept on disk."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from gauntlet.contracts import PROCEDURES, Batch, LabelledImages, Outcome
from gauntlet.datasets import ImageSet
from gauntlet.evaluation.selection import Selection, select
from gauntlet.runtime.files import atomic_path, fingerprint
from gauntlet.runtime.job import say
from gauntlet.runtime.manifest import Recorder
from gauntlet.runtime.seeding import generator_for, seed_for
from gauntlet.runtime.tables import unify, with_manifest

_SECONDS = b"seconds"
"""Key under which a chunk's file says how long its procedure ran."""


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
    identity = {
        "weights": weights_sha256,
        "images": images.manifest["images_sha256"],
        "labels": images.manifest["labels_sha256"],
        **{key: specification[key] for key in ("samples", "chunk", "seed", "references")},
    }
    references = _references(specification, training_images, device)
    selection = _load_selection(specification, model, images, identity, cache, device)
    procedures = {name: PROCEDURES.parse(entry) for name, entry in specification["procedures"].items()}
    folders = {
        name: cache
        / name
        / fingerprint({**identity, "procedure": entry, "keep": specification["keep_images"]})
        for name, entry in specification["procedures"].items()
    }
    _remove_stale(cache, folders)
    chunks = shard.chunks(-(-len(selection) // specification["chunk"]))
    pending = [
        (name, number)
        for number in chunks
        for name in procedures
        if not _chunk_file(folders[name], number).exists()
    ]
    done = len(chunks) * len(procedures) - len(pending)
    if done:
        say(f"{done} of {done + len(pending)} chunks were finished before")
    for (name, number), line in zip(pending, _progress(len(pending)), strict=False):
        where = slice(number * specification["chunk"], (number + 1) * specification["chunk"])
        batch = _batch(specification, selection, images, where, name, number, device, references)
        started = time.perf_counter()
        outcome = procedures[name].run(model, batch)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds = time.perf_counter() - started
        keep = specification["keep_images"]
        _write_chunk(folders[name], number, name, selection, images, where, outcome, keep, seconds)
        line(f"{name}, chunk {number + 1}")
    _write_shard(output, specification, selection, folders, chunks, recorder, images)


def _batch(
    specification: Mapping[str, Any],
    selection: Selection,
    images: ImageSet,
    where: slice,
    procedure: str,
    number: int,
    device: torch.device,
    references: LabelledImages | None,
) -> Batch:
    indices = selection.indices[where]
    targets = selection.targets[where]
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


def _chunk_file(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}.parquet"


def _write_chunk(
    folder: Path,
    number: int,
    procedure: str,
    selection: Selection,
    images: ImageSet,
    where: slice,
    outcome: Outcome,
    keep: int,
    seconds: float,
) -> None:
    """Write the kept images first: the table's existence says that the chunk is finished."""
    kept = max(0, min(keep - where.start, len(selection.indices[where])))
    if kept and outcome.images is not None:
        with atomic_path(folder / f"{number:05d}.npy") as temporary:
            np.save(temporary, outcome.images[:kept].float().cpu().numpy())
    indices = selection.indices[where]
    columns = {
        "procedure": [procedure] * len(indices),
        "index": indices,
        "label": images.labels[indices],
        "target": selection.targets[where],
        "correct": selection.correct[where],
        **{name: column.detach().cpu().numpy() for name, column in outcome.columns.items()},
    }
    with atomic_path(_chunk_file(folder, number)) as temporary:
        pq.write_table(pa.table(columns, metadata={_SECONDS: str(seconds)}), temporary)


def _write_shard(
    output: Path,
    specification: Mapping[str, Any],
    selection: Selection,
    folders: Mapping[str, Path],
    chunks: range,
    recorder: Recorder,
    images: ImageSet,
) -> None:
    by_procedure = {
        name: [pq.read_table(_chunk_file(folder, number)) for number in chunks]
        for name, folder in folders.items()
    }
    table = unify([piece for pieces in by_procedure.values() for piece in pieces])
    manifest = recorder.manifest(
        specification,
        shard_rows=table.num_rows,
        selection={"samples": len(selection), "skipped": selection.skipped.tolist()},
        procedure_seconds={
            name: sum(_seconds(piece) for piece in pieces) for name, pieces in by_procedure.items()
        },
        dataset=images.manifest.get("source"),
    )
    kept: dict[str, list[np.ndarray]] = {}
    for name, folder in folders.items():
        for number in chunks:
            file = folder / f"{number:05d}.npy"
            if file.exists():
                kept.setdefault(name, []).append(np.load(file))
    arrays: dict[str, Any] = {name: np.concatenate(parts) for name, parts in kept.items()}
    if arrays:
        start = chunks.start * specification["chunk"]
        longest = max(len(array) for array in arrays.values())
        clean = images.tensor(selection.indices[start : start + longest], torch.device("cpu"))
        arrays = {"clean": clean.numpy(), **arrays}
    # Written even when empty, so that the workflow can rely on the file.
    with atomic_path(output.with_suffix(".npz")) as temporary:
        np.savez(temporary, **arrays)
    with atomic_path(output) as temporary:
        pq.write_table(with_manifest(table, manifest), temporary)


def _seconds(chunk: pa.Table) -> float:
    """Return how long a chunk's procedure ran; NaN for files that an earlier version wrote."""
    return float((chunk.schema.metadata or {}).get(_SECONDS, "nan"))


def _load_selection(
    specification: Mapping[str, Any],
    model: nn.Module,
    images: ImageSet,
    identity: Mapping[str, Any],
    cache: Path,
    device: torch.device,
) -> Selection:
    """Select the samples, or read what an earlier run selected for the same model and images."""
    file = cache / f"selection-{fingerprint(identity)}.npz"
    if file.exists():
        with np.load(file) as stored:
            return Selection(stored["indices"], stored["targets"], stored["correct"], stored["skipped"])
    selection = select(
        specification["samples"],
        images,
        model,
        seed=specification["seed"],
        block=specification["chunk"],
        device=device,
    )
    with atomic_path(file) as temporary:
        np.savez(
            temporary,
            indices=selection.indices,
            targets=selection.targets,
            correct=selection.correct,
            skipped=selection.skipped,
        )
    return selection


def _remove_stale(cache: Path, folders: Mapping[str, Path]) -> None:
    """Remove finished chunks that no current procedure can use."""
    current = set(folders.values())
    for procedure in cache.iterdir() if cache.is_dir() else ():
        if procedure.is_dir():
            for folder in procedure.iterdir():
                if folder not in current:
                    shutil.rmtree(folder, ignore_errors=True)


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
                say(f"{count}/{total} chunks, about {left:.0f} s left ({what})")

        yield report
