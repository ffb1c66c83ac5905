"""Which data sets and checkpoints can be had here, and which artefacts the missing ones block."""

from __future__ import annotations

from collections.abc import Iterable
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
    """What can be had. A reason says why something cannot; None means that it can.

    Attributes:
        catalogue: what is asked for.
        splits: reason by data set and split.
        checkpoints: reason by model that is imported.
    """

    catalogue: Catalogue
    splits: dict[tuple[str, str], str | None]
    checkpoints: dict[str, str | None]

    def model(self, name: str) -> str | None:
        """Why a model cannot be made."""
        name = self.catalogue.origins[name]
        if (paths.model_folder(self.catalogue.scale, name) / "manifest.json").is_file():
            return None
        entry = self.catalogue.models[name]
        if entry.checkpoint is not None:
            return self.checkpoints[name]
        return _first(self.splits[entry.dataset, split] for split in ("train", "test"))

    def evaluation(self, work: str, name: str) -> str | None:
        """Why an evaluation cannot be made."""
        if paths.evaluation_file(self.catalogue.scale, work, name).is_file():
            return None
        entry = self.catalogue.evaluation(work, name)
        dataset = self.catalogue.dataset_of(entry)
        return _first([self.model(entry.model), self.splits[dataset, entry.samples.split]])

    def made_from(self, work: str, entry: ArtefactEntry | ClaimEntry) -> str | None:
        """Why an artefact or a claim's check cannot be made."""
        return _first(
            [
                *(self.evaluation(work, name) for name in self.catalogue.evaluations_of(work, entry)),
                *(self.model(name) for name in self.catalogue.models_of(entry)),
                *(self.splits[_pair(split)] for split in entry.datasets),
            ]
        )

    def missing(self) -> dict[str, str]:
        """Return every missing resource with the reason."""
        return {
            **{f"{dataset}/{split}": why for (dataset, split), why in self.splits.items() if why},
            **{f"checkpoint of {name}": why for name, why in self.checkpoints.items() if why},
        }


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


def _first(reasons: Iterable[str | None]) -> str | None:
    return next((reason for reason in reasons if reason), None)
