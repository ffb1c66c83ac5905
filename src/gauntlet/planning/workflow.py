"""Jobs of the workflow at one scale: which files they read and what they are told. The rules only declare them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gauntlet.configuration import Catalogue, paths
from gauntlet.configuration.catalogue import Work
from gauntlet.configuration.grammar import ArtefactEntry, EvaluationEntry, Evidence, ModelEntry
from gauntlet.configuration.specifications import artefact_specification, claim_specification, evidence
from gauntlet.errors import ConfigurationError, did_you_mean
from gauntlet.planning.availability import Available, find_available
from gauntlet.planning.changes import newer_input
from gauntlet.planning.resources import Resources, evaluation_resources, model_resources, shards
from gauntlet.runtime.checksums import read_sealed_json
from gauntlet.runtime.tables import read_manifest
from gauntlet.training.checkpoints import FOLDER, find


@dataclass(frozen=True)
class Workflow:
    """The jobs at one scale.

    Attributes:
        catalogue: everything that can be made at the scale.
    """

    catalogue: Catalogue

    @cached_property
    def available(self) -> Available:
        """Data sets and checkpoints that can be had here."""
        return find_available(self.catalogue)

    @property
    def scale(self) -> str:
        """demo, small or full."""
        return self.catalogue.scale

    # --- entries by name: a target may name what does not exist --------------------------------------------------

    def work(self, name: str) -> Work:
        """Return a work; raises ConfigurationError for an unknown one."""
        return _known("work", name, self.catalogue.works)

    def model(self, name: str) -> ModelEntry:
        """Return a model; raises ConfigurationError for an unknown one."""
        return _known("model", name, self.catalogue.models)

    def evaluation(self, work: str, name: str) -> EvaluationEntry:
        """Return an evaluation; raises ConfigurationError for an unknown one."""
        return _known(f"evaluation of {work}", name, self.work(work).content.evaluations)

    def artefact(self, work: str, name: str) -> ArtefactEntry:
        """Return an artefact; raises ConfigurationError for an unknown one."""
        return _known(f"artefact of {work}", name, self.work(work).content.artefacts)

    # --- inputs -------------------------------------------------------------------------------------------------

    def model_files(self, name: str) -> list[Path]:
        """Return the files of a model, under the name that it is trained under."""
        return paths.model_files(self.scale, self.catalogue.origins[name])

    def imports(self, name: str) -> bool:
        """Whether a model is imported; if not, it is trained."""
        entry = self.model(name)
        # Only where there is a choice does it depend on what can be had here.
        if entry.training is None or entry.checkpoint is None:
            return entry.checkpoint is not None
        return self.available.imports(name)

    def training_images(self, model: str, split: str) -> list[Path]:
        """Return the images of a split that a training reads; an import reads none."""
        return [] if self.imports(model) else paths.split_files(self.model(model).dataset, split)

    def second_pool(self, model: str) -> list[Path]:
        """Return the images of the second pool that a training mixes in, if it does."""
        pool = self.model(model).second_pool
        return [] if pool is None or self.imports(model) else paths.split_files(pool, "train")

    def downloaded_weights(self, name: str) -> list[Path]:
        """Return the file of published weights that has to be downloaded before a model is imported, if one has."""
        settings = self.model(name).checkpoint
        if settings is None or settings.url is None or settings.sha256 is None or not self.imports(name):
            return []
        root = self.catalogue.settings.data_root
        if find(settings, Path(root) if root else None, paths.DOWNLOADS):
            return []
        return [paths.DOWNLOADS / FOLDER / settings.file]

    def evaluated_images(self, work: str, name: str) -> list[Path]:
        """Return the images that an evaluation samples."""
        entry = self.evaluation(work, name)
        return paths.split_files(self.catalogue.dataset_of(entry), entry.samples.split)

    def reference_images(self, work: str, name: str) -> list[Path]:
        """Return the training images, for an evaluation that starts from some of them."""
        entry = self.evaluation(work, name)
        return paths.split_files(self.catalogue.dataset_of(entry), "train") if entry.references else []

    def model_changes(self, name: str) -> list[Path]:
        """Return an input that makes a model be made again if it lies here, made under another specification."""
        manifest = paths.model_folder(self.scale, name) / "manifest.json"
        return newer_input(manifest, read_sealed_json, self.model_specification(name))

    def evaluation_changes(self, work: str, name: str) -> list[Path]:
        """Return an input that makes an evaluation run again if it lies here, made under another specification."""
        table = paths.evaluation_file(self.scale, work, name)
        return newer_input(table, read_manifest, self.evaluation_specification(work, name))

    def evidence_files(self, work: str, entry: Evidence) -> list[Path]:
        """Return every file that an artefact or a claim is made from."""
        found = evidence(self.catalogue, work, entry)
        return [
            *(Path(each["file"]) for each in found["evaluations"].values()),
            *(file for name in found["models"] for file in self.model_files(name)),
            *(file for split in found["datasets"] for file in paths.split_files(*split.split("/"))),
            *map(Path, found["published"]),
        ]

    def artefact_inputs(self, work: str, name: str) -> list[Path]:
        """Return every file that an artefact is made from."""
        return self.evidence_files(work, self.artefact(work, name))

    def claim_inputs(self, work: str) -> list[Path]:
        """Return every file that the claims of a work are checked on, as far as it can be had here."""
        files = {
            file
            for entry in self.work(work).content.claims.values()
            if not self.available.reason(work, entry)
            for file in self.evidence_files(work, entry)
        }
        return sorted(files)

    def makeable(self, work: str) -> list[str]:
        """Return the artefacts of a work that can be made here."""
        entries = self.work(work).content.artefacts
        return [name for name, entry in entries.items() if not self.available.reason(work, entry)]

    def work_artefacts(self, work: str) -> list[Path]:
        """Return the files of every artefact of a work that can be made here."""
        return [
            file
            for name in self.makeable(work)
            for file in (
                *paths.artefact_files(self.scale, work, name),
                paths.artefact_meta(self.scale, work, name),
            )
        ]

    def site_inputs(self) -> list[Path]:
        """Return the pages, verdicts, sidecars and drawings that the index is made from."""
        works = self.catalogue.works
        return [
            *(paths.work_page(self.scale, work) for work in works),
            *(paths.claims_file(self.scale, work) for work in works),
            *(paths.artefact_meta(self.scale, work, name) for work in works for name in self.makeable(work)),
            *(
                file
                for work in works
                for name in self.makeable(work)
                for file in paths.artefact_files(self.scale, work, name)
                if file.suffix in (".csv", ".png")
            ),
        ]

    def everything_makeable(self) -> list[Path]:
        """Return the index and, so that a removed file is made again, every artefact that can be made here."""
        artefacts = [
            file
            for work in self.catalogue.works
            for name in self.makeable(work)
            for file in paths.artefact_files(self.scale, work, name)
        ]
        return [paths.index_page(self.scale), *artefacts]

    def everything(self) -> list[Path]:
        """Return every artefact, also where something seems to be missing here."""
        return [
            file
            for name, work in self.catalogue.works.items()
            for artefact in work.content.artefacts
            for file in paths.artefact_files(self.scale, name, artefact)
        ]

    # --- resources ----------------------------------------------------------------------------------------------

    def shards(self, work: str, name: str) -> int:
        """Return the jobs that an evaluation is cut into."""
        self.evaluation(work, name)
        return shards(self.catalogue, work, name)

    def model_resources(self, name: str) -> Resources:
        """Return the resources to train or import a model."""
        return model_resources(self.catalogue, name, imported=self.imports(name))

    def evaluation_resources(self, work: str, name: str) -> Resources:
        """Return the resources of one shard of an evaluation."""
        self.evaluation(work, name)
        return evaluation_resources(self.catalogue, work, name)

    # --- specifications -----------------------------------------------------------------------------------------

    def model_specification(self, name: str) -> dict[str, Any]:
        """Return what a network depends on, apart from the images it is trained on.

        It has either a training or a checkpoint. One that is trained in place of published weights names them.
        """
        entry, specification = self.model(name), self.catalogue.model_specification(name)
        if entry.training is None or entry.checkpoint is None:
            return specification
        if self.imports(name):
            return specification | {"training": None}
        return specification | {"checkpoint": None, "in_place_of": entry.checkpoint.file}

    def download_specification(self, file: str) -> dict[str, Any] | None:
        """Return where published weights are downloaded from, or None if no model at this scale has such a file."""
        published = [entry.checkpoint for entry in self.catalogue.models.values() if entry.checkpoint]
        return next(
            (each.model_dump(mode="json") for each in published if each.file == file and each.url), None
        )

    def evaluation_specification(self, work: str, name: str) -> dict[str, Any]:
        """Return what an evaluation depends on, apart from the network's weights and the images."""
        self.evaluation(work, name)
        return self.catalogue.evaluation_specification(work, name)

    def artefact_specification(self, work: str, name: str) -> dict[str, Any]:
        """Return what an artefact depends on, apart from the content of its inputs."""
        self.artefact(work, name)
        return artefact_specification(self.catalogue, work, name)

    def claim_specifications(self, work: str) -> dict[str, Any]:
        """Return what each claim is checked on, and why it cannot be where something is missing."""
        return {
            "claims": [
                {
                    **claim_specification(self.catalogue, work, name),
                    "missing": self.available.reason(work, entry),
                }
                for name, entry in self.work(work).content.claims.items()
            ]
        }

    def site_specification(self) -> dict[str, Any]:
        """Return what the index shows: works, their artefacts and what is missing."""
        return {
            "scale": self.scale,
            "seed": self.catalogue.settings.seed,
            "works": [
                {
                    "name": name,
                    "title": work.about.title,
                    "document": work.about.document.model_dump(),
                    "artefacts": list(self._site_artefacts(name, work)),
                    "claims": f"{name}/claims.csv",
                    "chapters": list(work.chapters),
                    "page": f"{name}/index.html",
                }
                for name, work in self.catalogue.works.items()
            ],
            "missing": self.available.missing(),
        }

    def _site_artefacts(self, name: str, work: Work) -> Iterator[dict[str, Any]]:
        root = paths.REPORTS / self.scale
        for artefact, entry in work.content.artefacts.items():
            files = paths.artefact_files(self.scale, name, artefact)
            yield {
                "name": artefact,
                "kind": "figure" if paths.is_figure(artefact) else "table",
                "chapter": work.chapter_of("artefacts", artefact),
                "title": paths.artefact_title(artefact, entry.title),
                "files": [file.relative_to(root).as_posix() for file in files],
                "meta": paths.artefact_meta(self.scale, name, artefact).relative_to(root).as_posix(),
                "missing": self.available.reason(name, entry),
            }


def _known(kind: str, name: str, entries: Mapping[str, Any]) -> Any:
    if name not in entries:
        raise ConfigurationError(f"unknown {kind}", found=name, valid=did_you_mean(name, entries))
    return entries[name]
