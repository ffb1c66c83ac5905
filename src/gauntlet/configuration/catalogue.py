"""The catalogue: every data set, model, evaluation, artefact and claim at one scale, and their specifications."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from gauntlet.configuration.grammar import (
    ArtefactEntry,
    ChapterFile,
    EvaluationEntry,
    Evidence,
    ModelEntry,
    UserSettings,
    WorkFile,
)
from gauntlet.contracts import PROCEDURES
from gauntlet.datasets.settings import DatasetSettings
from gauntlet.runtime.files import compact_json


@dataclass(frozen=True)
class Work:
    """One work at the chosen scale.

    Attributes:
        name: its name, that of its folder.
        folder: ``config/works/<work>``.
        about: title and document.
        chapters: by name, in alphabetical order.
    """

    name: str
    folder: Path
    about: WorkFile
    chapters: Mapping[str, ChapterFile]

    @cached_property
    def content(self) -> ChapterFile:
        """Everything of all chapters."""
        merged: dict[str, dict[str, Any]] = {section: {} for section in ChapterFile.model_fields}
        for chapter in self.chapters.values():
            for section, entries in merged.items():
                entries |= getattr(chapter, section)
        return ChapterFile.model_construct(None, **merged)

    def chapter_of(self, section: str, name: str) -> str:
        """Return the chapter that describes an entry."""
        return next(chapter for chapter, file in self.chapters.items() if name in getattr(file, section))

    def file_of(self, chapter: str) -> Path:
        """Return the file of a chapter."""
        return self.folder / f"{chapter}.yaml"


@dataclass(frozen=True)
class Catalogue:
    """Everything that can be made.

    Attributes:
        folder: the configuration folder.
        settings: the user's knobs.
        datasets: by name.
        works: the works to make, by name.
        models: by name, over all works.
        origins: for every model name the name under which it is trained: of identical specifications, the first.
    """

    folder: Path
    settings: UserSettings
    datasets: Mapping[str, DatasetSettings]
    works: Mapping[str, Work]
    models: Mapping[str, ModelEntry]
    origins: Mapping[str, str] = field(repr=False)

    @property
    def scale(self) -> str:
        """demo, small or full."""
        return self.settings.scale

    # --- look-ups -------------------------------------------------------------------------------------------

    def evaluation(self, work: str, name: str) -> EvaluationEntry:
        """Return an evaluation of a work."""
        return self.works[work].content.evaluations[name]

    def artefact(self, work: str, name: str) -> ArtefactEntry:
        """Return an artefact of a work."""
        return self.works[work].content.artefacts[name]

    def evaluations_of(self, work: str, entry: Evidence) -> list[str]:
        """Return the names of the evaluations that an artefact or claim is made from."""
        return _select(entry.evaluations, self.works[work].content.evaluations)

    def models_of(self, entry: Evidence) -> list[str]:
        """Return the names of the models that an artefact or claim is made from."""
        return _select(entry.models, self.models)

    def dataset_of(self, evaluation: EvaluationEntry) -> str:
        """Return the data set that an evaluation works on."""
        return evaluation.dataset or self.models[evaluation.model].dataset

    # --- labels -----------------------------------------------------------------------------------------------

    def evaluation_labels(self, work: str, name: str) -> dict[str, Any]:
        """Return the labels of an evaluation and its model, which is itself a label unless it has one of that name."""
        entry = self.evaluation(work, name)
        return {
            "model": entry.model,
            "dataset": self.dataset_of(entry),
            **self.models[entry.model].labels,
            **entry.labels,
        }

    def procedure_labels(self, work: str, name: str) -> dict[str, dict[str, Any]]:
        """Return each procedure's labels; an attack's threat model among them."""
        entry = self.evaluation(work, name)
        return {
            procedure: {**_threat_model(compact_json(settings)), **entry.procedure_labels.get(procedure, {})}
            for procedure, settings in entry.procedures.items()
        }

    # --- specifications: what a job is told, and what decides whether it must run again ----------------------

    def split_specification(self, dataset: str, split: str) -> dict[str, Any]:
        """Return what the preparation of one split depends on."""
        return {"dataset": dataset, "split": split, "settings": self.datasets[dataset].specification(split)}

    def model_specification(self, name: str) -> dict[str, Any]:
        """Return what a network depends on, apart from the images it is trained on."""
        entry = self.models[name]
        dataset = self.datasets[entry.dataset]
        return {
            "model": self.origins[name],
            "dataset": entry.dataset,
            "input_shape": list(dataset.shape),
            "classes": dataset.class_count,
            **entry.model_dump(mode="json", exclude={"dataset", "replicate", "labels"}),
            "seed": self.settings.seed + entry.replicate,
        }

    def evaluation_specification(self, work: str, name: str) -> dict[str, Any]:
        """Return what an evaluation depends on, apart from the network's weights and the images."""
        entry = self.evaluation(work, name)
        return {
            "work": work,
            "evaluation": name,
            "scale": self.scale,
            "model": self.origins[entry.model],
            "dataset": self.dataset_of(entry),
            "samples": entry.samples.model_dump(mode="json"),
            "chunk": entry.chunk,
            "keep_images": entry.keep_images,
            "references": entry.references,
            "procedures": entry.procedures,
            "seed": self.settings.seed,
            # Left out where it is the usual one: it changes nothing about such an evaluation.
            **({"weights": "last"} if entry.weights == "last" else {}),
        }


def _select(patterns: list[str], known: Iterable[str]) -> list[str]:
    return [name for name in known if any(fnmatchcase(name, pattern) for pattern in patterns)]


@cache
def _threat_model(settings: str) -> dict[str, Any]:
    """Return the threat model of an attack as labels, from its settings as JSON; nothing for other procedures."""
    threat = PROCEDURES.parse(json.loads(settings)).threat_model
    return {} if threat is None else asdict(threat)
