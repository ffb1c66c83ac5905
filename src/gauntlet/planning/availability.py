"""Availability of data sets and checkpoints, and the artefacts that the missing ones block."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gauntlet.configuration import Catalogue, paths
from gauntlet.configuration.grammar import ArtefactEntry, ClaimEntry
from gauntlet.datasets.prepare import availability as split_availability
from gauntlet.errors import DataError
from gauntlet.planning.hosts import reachable
from gauntlet.runtime.availability import Availability
from gauntlet.runtime.checksums import read_sealed_json
from gauntlet.training.checkpoints import availability as checkpoint_availability


@dataclass(frozen=True)
class Available:
    """Availability of everything that a catalogue needs.

    Attributes:
        catalogue: what is asked for.
        splits: for every data set and split why it cannot be had, or None if it can.
        checkpoints: the same for every model whose weights are published.
    """

    catalogue: Catalogue
    splits: dict[tuple[str, str], str | None]
    checkpoints: dict[str, str | None]

    def imports(self, name: str) -> bool:
        """Whether a model is imported here; if not, it is trained."""
        name = self.catalogue.origins[name]
        entry = self.catalogue.models[name]
        if entry.checkpoint is None:
            return False
        return entry.training is None or self.checkpoints[name] is None

    def trained_in_place(self) -> dict[str, str]:
        """Return every model that is trained because its published weights cannot be had, with the reason."""
        return {
            name: reason
            for name, reason in self.checkpoints.items()
            if reason and name == self.catalogue.origins[name] and not self.imports(name)
        }

    def needed_splits(self) -> list[tuple[str, str]]:
        """Return every split that some training, evaluation or artefact needs here."""
        return needed_splits(
            self.catalogue, [name for name in self.catalogue.models if not self.imports(name)]
        )

    def model(self, name: str) -> dict[str, str]:
        """Return what a model lacks, with the reason; nothing if it can be made."""
        name = self.catalogue.origins[name]
        if (paths.model_folder(self.catalogue.scale, name) / "manifest.json").is_file():
            return {}
        entry = self.catalogue.models[name]
        if self.imports(name):
            reason = self.checkpoints[name]
            return {f"checkpoint of {name}": reason} if reason else {}
        lacks: dict[str, str] = {}
        for split in entry.learned_splits():
            lacks |= self._split(*split)
        return lacks

    def evaluation(self, work: str, name: str) -> dict[str, str]:
        """Return what an evaluation lacks, with the reason."""
        if paths.evaluation_file(self.catalogue.scale, work, name).is_file():
            return {}
        entry = self.catalogue.evaluation(work, name)
        dataset = self.catalogue.dataset_of(entry)
        lacks = self.model(entry.model) | self._split(dataset, entry.samples.split)
        return lacks | self._split(dataset, "train") if entry.references else lacks

    def lacking(self, work: str, entry: ArtefactEntry | ClaimEntry) -> dict[str, str]:
        """Return what an artefact or a claim's check lacks, with the reason."""
        lacks: dict[str, str] = {}
        for name in self.catalogue.evaluations_of(work, entry):
            lacks |= self.evaluation(work, name)
        for name in self.catalogue.models_of(entry):
            lacks |= self.model(name)
        for split in entry.datasets:
            lacks |= self._split(*_pair(split))
        return lacks

    def reason(self, work: str, entry: ArtefactEntry | ClaimEntry) -> str | None:
        """Return why an artefact or a claim's check cannot be made, or None if it can."""
        lacks = self.lacking(work, entry)
        return "; ".join(f"{name} is missing: {why}" for name, why in lacks.items()) or None

    def missing(self) -> dict[str, str]:
        """Return every missing resource with the reason."""
        missing: dict[str, str] = {}
        for dataset, split in self.needed_splits():
            missing |= self._split(dataset, split)
        return missing | {
            f"checkpoint of {name}": why
            for name, why in self.checkpoints.items()
            if why and self.imports(name)
        }

    def _split(self, dataset: str, split: str) -> dict[str, str]:
        reason = self.splits[dataset, split]
        return {f"{dataset}/{split}": reason} if reason else {}


def find_available(catalogue: Catalogue, *, fresh: bool = False) -> Available:
    """Look for every data set and checkpoint that the catalogue needs; ask the hosts of those not here.

    Args:
        catalogue: the configuration at one scale.
        fresh: ask hosts again even if an answer is remembered.
    """
    root = Path(catalogue.settings.data_root) if catalogue.settings.data_root else None
    splits = {
        (dataset, split): _prepared(dataset, split)
        or split_availability(catalogue.datasets[dataset], split, root, paths.DOWNLOADS)
        for dataset, split in needed_splits(
            catalogue, [name for name, entry in catalogue.models.items() if entry.training is not None]
        )
    }
    checkpoints = {
        name: _imported(catalogue, name) or checkpoint_availability(entry.checkpoint, root, paths.DOWNLOADS)
        for name, entry in catalogue.models.items()
        if entry.checkpoint is not None
    }
    found = [*splits.values(), *checkpoints.values()]
    hosts = {host for one in found if not one.local for host in one.hosts}
    answers = reachable(hosts, fresh=fresh) if hosts else {}

    def reason(one: Availability) -> str | None:
        if one.local or any(answers[host] for host in one.hosts):
            return None
        if one.hosts:
            return f"{one.reason} (no answer from {', '.join(one.hosts)})"
        return one.reason

    return Available(
        catalogue,
        {key: reason(one) for key, one in splits.items()},
        {name: reason(one) for name, one in checkpoints.items()},
    )


def needed_splits(catalogue: Catalogue, trained: Iterable[str]) -> list[tuple[str, str]]:
    """Return every split that an evaluation, an artefact or one of the trained models needs."""
    needed: dict[tuple[str, str], None] = {}
    for name in trained:
        needed |= dict.fromkeys(catalogue.models[name].learned_splits())
    for work in catalogue.works.values():
        for evaluation in work.content.evaluations.values():
            needed[catalogue.dataset_of(evaluation), evaluation.samples.split] = None
            if evaluation.references:
                needed[catalogue.dataset_of(evaluation), "train"] = None
        for made in [*work.content.artefacts.values(), *work.content.claims.values()]:
            needed |= dict.fromkeys(_pair(split) for split in made.datasets)
    return list(needed)


def _prepared(dataset: str, split: str) -> Availability | None:
    done = (paths.split_folder(dataset, split) / "manifest.json").is_file()
    return Availability(local=True, hosts=(), reason="") if done else None


def _imported(catalogue: Catalogue, name: str) -> Availability | None:
    """Return that a checkpoint was imported before, or None; a model trained in its place is no import."""
    manifest = paths.model_folder(catalogue.scale, catalogue.origins[name]) / "manifest.json"
    done = manifest.is_file() and (
        catalogue.models[name].training is None or _has_published_weights(manifest)
    )
    return Availability(local=True, hosts=(), reason="") if done else None


def _has_published_weights(manifest: Path) -> bool:
    try:
        return bool(read_sealed_json(manifest)["specification"]["checkpoint"])
    except (DataError, KeyError):  # Damaged: it is made anew.
        return False


def _pair(split: str) -> tuple[str, str]:
    dataset, _, part = split.partition("/")
    return dataset, part
