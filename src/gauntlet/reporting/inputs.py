"""What an artefact or a claim is made from: evaluations, training histories, data sets, published numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq


@dataclass(frozen=True)
class EvaluationResult:
    """One evaluation's table with what produced it.

    Attributes:
        path: the parquet file.
    """

    path: Path

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per procedure and sample.

        Columns: ``procedure``, ``index`` (position in the data set split), ``label``, ``target`` (-1 for
        none), ``correct`` (clean prediction is right), then the union of the procedures' columns.
        """
        return pd.read_parquet(self.path)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Provenance: specification, seed, versions, device, times; ``selection`` says what was skipped."""
        return json.loads(pq.read_schema(self.path).metadata[b"gauntlet"])

    @property
    def specification(self) -> dict[str, Any]:
        """The resolved specification: model, dataset, samples, procedures."""
        return self.manifest["specification"]

    def rows(self, procedure: str) -> pd.DataFrame:
        """Return the rows of one procedure, without columns that belong to others only."""
        frame = self.frame[self.frame["procedure"] == procedure]
        return frame.dropna(axis="columns", how="all").reset_index(drop=True)

    def images(self) -> dict[str, np.ndarray]:
        """Return the kept images: ``clean`` and one array per procedure, float32 ``[n, C, H, W]``."""
        with np.load(self.path.with_suffix(".npz")) as archive:
            return dict(archive)


@dataclass(frozen=True)
class ArtefactInputs:
    """The inputs of one artefact or claim.

    Attributes:
        work: the work's name.
        name: the artefact's or claim's name.
        scale: demo, small or full.
        settings: the free ``settings`` of its configuration.
        evaluations: by evaluation name.
        models: folder of each model whose history or weights are needed, by model name.
        datasets: folder of each prepared split (``images.npy``, ``labels.npy``), by ``<dataset>/<split>``.
        published: the published numbers, one per row; an empty frame if the artefact has none.
    """

    work: str
    name: str
    scale: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    evaluations: Mapping[str, EvaluationResult] = field(default_factory=dict)
    models: Mapping[str, Path] = field(default_factory=dict)
    datasets: Mapping[str, Path] = field(default_factory=dict)
    published: pd.DataFrame = field(default_factory=pd.DataFrame)

    def history(self, model: str) -> pd.DataFrame:
        """Return a model's training history, one row per epoch."""
        return pd.read_parquet(self.models[model] / "history.parquet")

    def evaluation(self) -> EvaluationResult:
        """Return the one evaluation of an artefact that has just one."""
        (only,) = self.evaluations.values()
        return only
