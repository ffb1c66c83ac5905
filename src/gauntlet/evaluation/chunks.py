"""Finished chunks of an evaluation on disk: the unit of resuming.

A chunk lies in a folder that is named after everything it depends on: the procedure's settings, the model's weights,
the images, the selection. A changed setting of one procedure therefore leaves the chunks of all others in place.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gauntlet.contracts import Outcome
from gauntlet.datasets import ImageSet
from gauntlet.errors import DataError
from gauntlet.evaluation.selection import Selection
from gauntlet.runtime.checksums import discard, readable, sealed_path
from gauntlet.runtime.files import fingerprint
from gauntlet.runtime.tables import read_table, write_table

_SECONDS = b"seconds"
"""Key under which a chunk's file says how long its procedure ran."""


def identity_of(specification: Mapping[str, Any], images: ImageSet, weights_sha256: str) -> dict[str, Any]:
    """Return everything that the samples of an evaluation depend on."""
    return {
        "weights": weights_sha256,
        "images": images.manifest["images_sha256"],
        "labels": images.manifest["labels_sha256"],
        **{key: specification[key] for key in ("samples", "chunk", "seed", "references")},
    }


@dataclass(frozen=True)
class ChunkStore:
    """The finished chunks of one evaluation.

    Attributes:
        folder: holds a folder per procedure; the samples' selection lies beside them.
        specification: of the evaluation.
        identity: see `identity_of`.
    """

    folder: Path
    specification: Mapping[str, Any]
    identity: Mapping[str, Any]

    @cached_property
    def folders(self) -> dict[str, Path]:
        """Folder of each procedure's chunks."""
        keep = self.specification["keep_images"]
        return {
            name: self.folder / name / fingerprint({**self.identity, "procedure": entry, "keep": keep})
            for name, entry in self.specification["procedures"].items()
        }

    @property
    def selection_file(self) -> Path:
        """File of the selected samples."""
        return self.folder / f"selection-{fingerprint(self.identity)}.npz"

    def __contains__(self, chunk: tuple[str, int]) -> bool:
        """Whether the chunk of a procedure with this number is finished."""
        return self._file(*chunk).exists()

    def remove_stale(self) -> None:
        """Remove finished chunks that no current procedure can use."""
        current = set(self.folders.values())
        for procedure in self.folder.iterdir() if self.folder.is_dir() else ():
            if procedure.is_dir():
                for folder in procedure.iterdir():
                    if folder not in current:
                        shutil.rmtree(folder, ignore_errors=True)

    def remove_damaged(self) -> None:
        """Remove finished chunks whose files are not what was written, so that they are computed anew."""
        for folder in self.folders.values():
            for file in sorted(folder.glob("*.parquet")):
                try:
                    read_table(file)
                    if file.with_suffix(".npy").exists():
                        _read_images(file.with_suffix(".npy"))
                except DataError as error:
                    discard(file, error)

    def write(
        self, name: str, number: int, selection: Selection, images: ImageSet, outcome: Outcome, seconds: float
    ) -> None:
        """Keep the outcome of a procedure on one chunk.

        Kept images come first: the table's existence says that the chunk is finished.
        """
        where = self.where(number)
        indices = selection.indices[where]
        kept = max(0, min(self.specification["keep_images"] - where.start, len(indices)))
        if kept and outcome.images is not None:
            with sealed_path(self._images_file(name, number)) as temporary:
                np.save(temporary, outcome.images[:kept].float().cpu().numpy())
        columns = {
            "procedure": [name] * len(indices),
            "index": indices,
            "label": images.labels[indices],
            "target": selection.targets[where],
            "correct": selection.correct[where],
            **{column: values.detach().cpu().numpy() for column, values in outcome.columns.items()},
        }
        write_table(self._file(name, number), pa.table(columns), {_SECONDS: str(seconds).encode()})

    def where(self, number: int) -> slice:
        """Return the samples of a chunk."""
        size = self.specification["chunk"]
        return slice(number * size, (number + 1) * size)

    def tables(self, name: str, numbers: range) -> list[pa.Table]:
        """Return the tables of a procedure's chunks."""
        return [read_table(self._file(name, number)) for number in numbers]

    def kept_images(self, numbers: range) -> dict[str, np.ndarray]:
        """Return the images that some chunks kept, by procedure, float32 ``[n, C, H, W]``."""
        found: dict[str, list[np.ndarray]] = {}
        for name in self.folders:
            for number in numbers:
                file = self._images_file(name, number)
                if file.exists():
                    found.setdefault(name, []).append(_read_images(file))
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def _file(self, name: str, number: int) -> Path:
        return self.folders[name] / f"{number:05d}.parquet"

    def _images_file(self, name: str, number: int) -> Path:
        return self.folders[name] / f"{number:05d}.npy"


def _read_images(file: Path) -> np.ndarray:
    with readable(file):
        return np.load(file)


def seconds_of(chunk: pa.Table) -> float:
    """Return how long a chunk's procedure ran; NaN for files that an earlier version wrote."""
    return float((chunk.schema.metadata or {}).get(_SECONDS, "nan"))
