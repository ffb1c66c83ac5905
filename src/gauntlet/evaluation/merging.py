"""Join the shards of an evaluation into its one table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gauntlet.runtime.checksums import readable, sealed_path
from gauntlet.runtime.tables import METADATA_KEY, read_table, unify, write_with_manifest


def merge_shards(shards: Sequence[Path], output: Path) -> None:
    """Write the table of all shards, ordered by procedure and sample, and their kept images beside it.

    The merged manifest is that of the first shard, with the seconds of all and every device that took part.
    """
    tables = [read_table(shard) for shard in shards]
    manifests: list[dict[str, Any]] = [json.loads(table.schema.metadata[METADATA_KEY]) for table in tables]
    manifest = {
        **manifests[0],
        "seconds": round(sum(entry["seconds"] for entry in manifests), 3),
        "procedure_seconds": {
            name: sum(entry["procedure_seconds"][name] for entry in manifests)
            for name in manifests[0]["procedure_seconds"]
        },
        "peak_memory_mb": max(entry["peak_memory_mb"] for entry in manifests),
        "device": ", ".join(sorted({entry["device"] for entry in manifests})),
    }
    order = list(manifest["specification"]["procedures"])
    # A shard has no rows where there are more shards than chunks.
    merged = unify([_of_procedure(table, name) for name in order for table in tables if table.num_rows])
    images: dict[str, list[np.ndarray]] = {}
    for shard in shards:
        file = shard.with_suffix(".npz")
        with readable(file), np.load(file) as archive:
            for name, array in archive.items():
                images.setdefault(name, []).append(array)
    arrays: dict[str, Any] = {name: np.concatenate(parts) for name, parts in images.items()}
    with sealed_path(output.with_suffix(".npz")) as temporary:
        np.savez(temporary, **arrays)
    write_with_manifest(output, merged, manifest)


def _of_procedure(table: pa.Table, name: str) -> pa.Table:
    return table.filter(pc.equal(table["procedure"], name))
