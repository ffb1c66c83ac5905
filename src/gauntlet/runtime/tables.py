"""Tables on disk that carry their provenance with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gauntlet.runtime.checksums import BLANK_CHECKSUM, CHECKSUM_KEY, readable, sealed_path

METADATA_KEY = b"gauntlet"
"""Key of the manifest in a parquet file's metadata."""


def unify(tables: list[pa.Table]) -> pa.Table:
    """Concatenate tables whose columns differ; absent values are null. No tables make an empty one."""
    if not tables:
        return pa.table({})
    bare = [table.replace_schema_metadata(None) for table in tables]
    return pa.concat_tables(bare, promote_options="permissive").combine_chunks()


def write_table(file: Path, table: pa.Table, metadata: Mapping[bytes, bytes] | None = None) -> None:
    """Write a table with its checksum, atomically; ``metadata`` replaces its own."""
    marked = {**(metadata or {}), CHECKSUM_KEY.encode(): BLANK_CHECKSUM.encode()}
    with sealed_path(file) as temporary:
        pq.write_table(table.replace_schema_metadata(marked), temporary)


def write_with_manifest(file: Path, table: pa.Table, manifest: Mapping[str, Any]) -> None:
    """Write a table that carries its manifest, atomically."""
    write_table(file, table, {METADATA_KEY: json.dumps(manifest).encode()})


def read_table(file: Path) -> pa.Table:
    """Read a table.

    Raises:
        DataError: it is not there, or not what was written.
    """
    with readable(file):
        return pq.read_table(file)


def read_manifest(file: Path) -> dict[str, Any]:
    """Read the manifest of a parquet file, without its table.

    Raises:
        DataError: it is not there, has no manifest, or is not what was written.
    """
    with readable(file):
        manifest: dict[str, Any] = json.loads((pq.read_schema(file).metadata or {})[METADATA_KEY])
    return manifest
