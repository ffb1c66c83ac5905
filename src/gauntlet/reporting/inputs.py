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

from gauntlet.errors import DataError


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
        published: the published numbers, one per row, with the name of their ``file``; may be empty.
        title: the artefact's title, or the claim's statement.
    """

    work: str
    name: str
    scale: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    evaluations: Mapping[str, EvaluationResult] = field(default_factory=dict)
    models: Mapping[str, Path] = field(default_factory=dict)
    datasets: Mapping[str, Path] = field(default_factory=dict)
    published: pd.DataFrame = field(default_factory=pd.DataFrame)
    title: str = ""

    def history(self, model: str) -> pd.DataFrame:
        """Return a model's training history, one row per epoch."""
        return pd.read_parquet(self.models[model] / "history.parquet")

    def evaluation(self) -> EvaluationResult:
        """Return the one evaluation of an artefact that has just one."""
        (only,) = self.evaluations.values()
        return only


def load_inputs(spec: Mapping[str, Any]) -> ArtefactInputs:
    """Turn the specification of an artefact or a claim into its inputs; tables are read when first used.

    Args:
        spec: ``work``, ``name``, ``scale``, and as far as needed ``title`` (of a claim: ``statement``),
            ``settings``, ``evaluations`` (file by name), ``models`` and ``datasets`` (folder by name) and
            ``published`` (files).
    """
    tables = []
    for file in map(Path, spec.get("published", ())):
        if not file.is_file():
            raise DataError(f"{file}: the published numbers of {spec['work']}, {spec['name']}, are not there")
        tables.append(pd.read_csv(file).assign(file=file.name))
    return ArtefactInputs(
        work=spec["work"],
        name=spec["name"],
        scale=spec["scale"],
        settings=dict(spec.get("settings", {})),
        evaluations={
            name: EvaluationResult(Path(entry["file"])) for name, entry in spec.get("evaluations", {}).items()
        },
        models={name: Path(entry["folder"]) for name, entry in spec.get("models", {}).items()},
        datasets={name: Path(folder) for name, folder in spec.get("datasets", {}).items()},
        published=pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(),
        title=spec.get("title") or spec.get("statement", ""),
    )
