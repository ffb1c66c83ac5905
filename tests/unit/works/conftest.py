"""What the tests of every work's artefacts and claims need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gauntlet.reporting.inputs import ArtefactInputs, EvaluationResult
from gauntlet.runtime.tables import with_manifest

PUBLISHED = Path(__file__).parents[3] / "config" / "published"


@pytest.fixture
def work(request: pytest.FixtureRequest) -> str:
    """The work that the test's folder is named after."""
    return request.path.parent.name


@pytest.fixture
def published(work: str) -> Callable[..., pd.DataFrame]:
    """Return a function that reads published numbers as an artefact gets them."""

    def read(*files: str) -> pd.DataFrame:
        return pd.concat(
            [pd.read_csv(PUBLISHED / work / file).assign(file=file) for file in files], ignore_index=True
        )

    return read


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., EvaluationResult]:
    """Return a function that writes the table of an evaluation with its manifest, kept images too, and opens it."""

    def save(
        name: str, frame: pd.DataFrame, manifest: Mapping[str, Any], **images: np.ndarray
    ) -> EvaluationResult:
        path = tmp_path / f"{name}.parquet"
        table = pa.Table.from_pandas(frame, preserve_index=False)
        pq.write_table(with_manifest(table, manifest), path)
        if images:
            np.savez(path.with_suffix(".npz"), **images)  # type: ignore[arg-type]
        return EvaluationResult(path)

    return save


@pytest.fixture
def evaluations(saved: Callable[..., EvaluationResult]) -> Callable[..., dict[str, EvaluationResult]]:
    """Return a function that writes evaluations of a made-up world and opens them.

    The world's ``evaluation`` gives the rows, the manifest and the kept images of the evaluation of a name.
    """

    def write(world: Any, *names: str, **details: Any) -> dict[str, EvaluationResult]:
        made = {}
        for name in names:
            frame, manifest, images = world.evaluation(name, **details)
            made[name] = saved(name, frame, manifest, **images)
        return made

    return write


@pytest.fixture
def inputs(work: str) -> Callable[..., ArtefactInputs]:
    """Return a function that builds the inputs of an artefact or a claim."""

    def build(**parts: Any) -> ArtefactInputs:
        return ArtefactInputs(work=work, name="made-up", scale="demo", **parts)

    return build
