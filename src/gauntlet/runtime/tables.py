"""Tables on disk that carry their provenance with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

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
