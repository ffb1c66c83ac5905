"""Availability of data sets and checkpoints, and the artefacts that the missing ones block."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gauntlet.configuration import Catalogue, paths
from gauntlet.configuration.grammar import ArtefactEntry, ClaimEntry
from gauntlet.datasets.prepare import availability as split_availability
from gauntlet.planning.hosts import reachable
from gauntlet.runtime.availability import Availability
from gauntlet.training.checkpoints import availability as checkpoint_availability


@dataclass(frozen=True)
class Available:
    """Availability of everything that a catalogue needs.

    Attributes:
        catalogue: what is asked for.
        splits: for every data set and split why it cannot be had, or None if it can.
        checkpoints: the same for every model that is imported.
    """

    catalogue: Catalogue
    splits: dict[tuple[str, str], str | None]
    checkpoints: dict[str, str | None]

    def model(self, name: str) -> dict[str, str]:
        """Return what a model lacks, with the reason; nothing if it can be made."""
        name = self.catalogue.origins[name]
        if (paths.model_folder(self.catalogue.scale, name) / "manifest.json").is_file():
            return {}
        entry = self.catalogue.models[name]
        if entry.checkpoint is not None:
            reason = self.checkpoints[name]
            return {f"checkpoint of {name}": reason} if reason else {}
        return self._split(entry.dataset, "train") | self._split(entry.dataset, "test")

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
        for dataset, split in self.splits:
            missing |= self._split(dataset, split)
        return missing | {f"checkpoint of {name}": why for name, why in self.checkpoints.items() if why}

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
        for dataset, split in needed_splits(catalogue)
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


def needed_splits(catalogue: Catalogue) -> list[tuple[str, str]]:
    """Return every split that some training, evaluation or artefact needs."""
    needed: dict[tuple[str, str], None] = {}
    for entry in catalogue.models.values():
        if entry.training is not None:
            needed |= dict.fromkeys([(entry.dataset, "train"), (entry.dataset, "test")])
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
    done = (paths.model_folder(catalogue.scale, catalogue.origins[name]) / "manifest.json").is_file()
    return Availability(local=True, hosts=(), reason="") if done else None


def _pair(split: str) -> tuple[str, str]:
    dataset, _, part = split.partition("/")
    return dataset, part
