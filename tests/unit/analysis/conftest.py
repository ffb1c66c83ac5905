"""Results from hand-made frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from gauntlet.analysis.results import Results, load_results
from gauntlet.runtime.tables import write_with_manifest


@pytest.fixture
def results_of(tmp_path: Path) -> Callable[..., Results]:
    """Return a function that writes evaluations and reads them as an artefact does.

    It takes procedures by evaluation and name, and the labels of evaluations by name. A procedure has ``columns``, an
    entry per sample, and may have ``labels``, ``settings``, ``correct`` (always if absent) and ``index`` (counted
    from 0 if absent).
    """

    def build(
        evaluations: Mapping[str, Mapping[str, Mapping[str, Any]]],
        labels: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Results:
        entries = {}
        for name, procedures in evaluations.items():
            frames = []
            for procedure, ran in procedures.items():
                size = len(next(iter(ran["columns"].values())))
                given = {"index": np.arange(size), "label": 0, "target": -1, "correct": True}
                given |= {name: ran[name] for name in ("index", "correct") if name in ran}
                frames.append(
                    pd.DataFrame({"procedure": procedure, **given, **ran["columns"]}, index=range(size))
                )
            settings = {procedure: ran.get("settings", {}) for procedure, ran in procedures.items()}
            manifest = {"specification": {"procedures": settings}}
            table = pa.Table.from_pandas(pd.concat(frames, ignore_index=True), preserve_index=False)
            file = tmp_path / f"{name}.parquet"
            write_with_manifest(file, table, manifest)
            entries[name] = {
                "file": str(file),
                "labels": dict((labels or {}).get(name, {})),
                "procedures": {procedure: ran.get("labels", {}) for procedure, ran in procedures.items()},
            }
        return load_results(entries)

    return build
