"""Tables on disk that carry their provenance with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

METADATA_KEY = b"gauntlet"
"""Key of the manifest in a parquet file's metadata."""


def unify(tables: list[pa.Table]) -> pa.Table:
    """Concatenate tables whose columns differ; absent values are null. No tables make an empty one."""
    if not tables:
        return pa.table({})
    bare = [table.replace_schema_metadata(None) for table in tables]
    return pa.concat_tables(bare, promote_options="permissive").combine_chunks()


def with_manifest(table: pa.Table, manifest: Mapping[str, Any]) -> pa.Table:
    """Attach a manifest to a table's metadata."""
    return table.replace_schema_metadata({METADATA_KEY: json.dumps(manifest).encode()})


def read_manifest(file: Path) -> dict[str, Any]:
    """Read the manifest of a parquet file, without its table.

    Raises:
        ValueError: it is no parquet file.
        KeyError: it has no manifest.
    """
    manifest: dict[str, Any] = json.loads((pq.read_schema(file).metadata or {})[METADATA_KEY])
    return manifest
