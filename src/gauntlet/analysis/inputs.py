"""Inputs of an artefact or a claim: results, training histories, data sets, published numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from gauntlet.analysis.results import EvaluationTable, Results, load_results
from gauntlet.datasets.imageset import ImageSet, open_split
from gauntlet.errors import DataError
from gauntlet.runtime.checksums import read_sealed_json, readable


@dataclass(frozen=True)
class TrainedModel:
    """A trained or imported network, as far as artefacts look at it.

    Attributes:
        name: the model's name.
        folder: holds its weights, history and manifest.
        labels: of its configuration.
    """

    name: str
    folder: Path
    labels: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def history(self) -> pd.DataFrame:
        """The training history, one row per epoch."""
        file = self.folder / "history.parquet"
        with readable(file):
            return pd.read_parquet(file)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Provenance: specification, seed, versions, device, times, peak memory."""
        return read_sealed_json(self.folder / "manifest.json")


@dataclass(frozen=True)
class ArtefactInputs:
    """The inputs of one artefact or claim.

    Attributes:
        work: the work's name.
        name: the artefact's or claim's name.
        scale: demo, small or full.
        settings: the free ``settings`` of its configuration.
        results: the rows of all its evaluations, by label.
        models: the models whose history or manifest is needed.
        datasets: folder of each prepared split (``images.npy``, ``labels.npy``), by ``<dataset>/<split>``.
        published: the published numbers, one per row, with the name of their ``file``; may be empty.
        title: the artefact's title, or the claim's statement.
    """

    work: str
    name: str
    scale: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    results: Results = field(default_factory=lambda: Results(pd.DataFrame(), {}))
    models: tuple[TrainedModel, ...] = ()
    datasets: Mapping[str, Path] = field(default_factory=dict)
    published: pd.DataFrame = field(default_factory=pd.DataFrame)
    title: str = ""

    @property
    def evaluations(self) -> Mapping[str, EvaluationTable]:
        """The evaluations by name, for provenance and kept images."""
        return self.results.tables

    @cached_property
    def split(self) -> ImageSet:
        """The one prepared split that is read: images, labels and the names of the classes."""
        (folder,) = self.datasets.values()
        return open_split(folder)

    def models_where(self, **labels: Any) -> list[TrainedModel]:
        """Return the models with these labels, in the order of the configuration."""
        return [
            model
            for model in self.models
            if all(model.labels.get(name) == value for name, value in labels.items())
        ]

    def model(self, **labels: Any) -> TrainedModel:
        """Return the one model with these labels.

        Raises:
            LookupError: there is none, or there are several.
        """
        found = self.models_where(**labels)
        if len(found) != 1:
            asked = ", ".join(f"{name}={value!r}" for name, value in labels.items())
            names = ", ".join(model.name for model in found or self.models)
            raise LookupError(f"{len(found)} models have the labels {asked} among {names}")
        return found[0]


def load_inputs(spec: Mapping[str, Any], read: dict[Path, EvaluationTable] | None = None) -> ArtefactInputs:
    """Return the inputs that the specification of an artefact or a claim describes; tables are read when first used.

    Args:
        spec: ``work``, ``name``, ``scale``, and as far as needed ``title`` (of a claim: ``statement``),
            ``settings``, ``evaluations`` (file, labels and procedures by name), ``models`` (folder and labels by
            name), ``datasets`` (folder by name) and ``published`` (files).
        read: see `load_results`.
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
        results=load_results(spec.get("evaluations", {}), read),
        models=tuple(
            TrainedModel(name, Path(entry["folder"]), entry["labels"])
            for name, entry in spec.get("models", {}).items()
        ),
        datasets={name: Path(folder) for name, folder in spec.get("datasets", {}).items()},
        published=pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(),
        title=spec.get("title") or spec.get("statement", ""),
    )
