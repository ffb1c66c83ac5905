"""Specifications of artefacts and claims: what their functions are told, and what decides whether they run again."""

from __future__ import annotations

from typing import Any

from gauntlet.configuration import paths
from gauntlet.configuration.catalogue import Catalogue
from gauntlet.configuration.grammar import Evidence
from gauntlet.configuration.references import artefact_function, claim_function

_MOST_RELATED = 4
_NEAR = 0.5
"""Part of the nearest artefact's overlap with a claim at which another one is still named beside it."""


def evidence(catalogue: Catalogue, work: str, entry: Evidence) -> dict[str, Any]:
    """Return everything that an artefact or a claim is made from, by name, with its labels."""
    scale = catalogue.scale
    return {
        "evaluations": {
            name: {
                "file": str(paths.evaluation_file(scale, work, name)),
                "network": str(
                    paths.model_folder(scale, catalogue.origins[catalogue.evaluation(work, name).model])
                ),
                "labels": catalogue.evaluation_labels(work, name),
                "procedures": catalogue.procedure_labels(work, name),
            }
            for name in catalogue.evaluations_of(work, entry)
        },
        "models": {
            name: {
                "folder": str(paths.model_folder(scale, catalogue.origins[name])),
                "labels": {"model": name, **catalogue.models[name].labels},
            }
            for name in catalogue.models_of(entry)
        },
        "datasets": {split: str(paths.split_folder(*split.split("/"))) for split in entry.datasets},
        "published": [str(catalogue.folder / "published" / work / file) for file in entry.published],
        "settings": entry.settings,
    }


def related_artefacts(catalogue: Catalogue, work: str, entry: Evidence) -> list[str]:
    """Return the tables and figures that show what a claim is judged on, the nearest first.

    Near are those that share the largest part of their evaluations and models with the claim.
    """

    def inputs(each: Evidence) -> set[str]:
        return {*catalogue.evaluations_of(work, each), *catalogue.models_of(each)}

    judged, near = inputs(entry), {}
    for name, artefact in catalogue.works[work].content.artefacts.items():
        shown = inputs(artefact)
        if judged & shown:
            near[name] = len(judged & shown) / len(judged | shown)
    best = max(near.values(), default=0)
    close = [name for name, part in near.items() if part >= best * _NEAR]
    return sorted(close, key=lambda name: -near[name])[:_MOST_RELATED]


def artefact_specification(catalogue: Catalogue, work: str, name: str) -> dict[str, Any]:
    """Return what an artefact depends on, apart from the content of its inputs."""
    entry = catalogue.artefact(work, name)
    return {
        "work": work,
        "chapter": catalogue.works[work].chapter_of("artefacts", name),
        "name": name,
        "kind": "figure" if paths.is_figure(name) else "table",
        "title": paths.artefact_title(name, entry.title),
        "make": artefact_function(name, entry.make),
        "own": catalogue.works[work].about.own,
        "scale": catalogue.scale,
        **evidence(catalogue, work, entry),
    }


def claim_specification(catalogue: Catalogue, work: str, name: str) -> dict[str, Any]:
    """Return what the check of a claim depends on, apart from the content of its inputs."""
    entry = catalogue.works[work].content.claims[name]
    return {
        "work": work,
        "chapter": catalogue.works[work].chapter_of("claims", name),
        "name": name,
        "statement": entry.statement,
        "source": entry.source,
        "reduced": entry.reduced or "",
        "untestable": entry.untestable or "",
        "check": claim_function(name, entry.check),
        "artefacts": related_artefacts(catalogue, work, entry),
        "scale": catalogue.scale,
        **evidence(catalogue, work, entry),
    }
