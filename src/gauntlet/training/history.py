"""A model's history: one row per epoch, none for an imported model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gauntlet.models import HISTORY


def write_history(rows: list[dict[str, Any]], folder: Path) -> None:
    """Write ``history.parquet``: epoch, loss, accuracies, learning rate, seconds, and whatever else was recorded.

    A column that some epochs lack, such as one of a watch, is null there.
    """
    import pyarrow as pa

    from gauntlet.runtime.tables import write_table

    measured = ("loss", "train_accuracy", "test_accuracy", "lr", "seconds")
    further = [
        name
        for name in dict.fromkeys(name for row in rows for name in row)
        if name not in (*measured, "epoch")
    ]
    columns = [("epoch", pa.int64()), *((name, pa.float64()) for name in (*measured, *further))]
    write_table(folder / HISTORY, pa.Table.from_pylist(rows, schema=pa.schema(columns)))
