"""Paths of everything, relative to the working directory; the rules and the command line agree by these."""

from __future__ import annotations

import itertools
from pathlib import Path

RESULTS = Path("results")
REPORTS = Path("reports")
DOWNLOADS = RESULTS / "downloads"
"""Cache of downloaded archives and checkpoints."""

ACCEPTED_CHECKPOINTS = RESULTS / "checkpoints.lock.json"
"""SHA-256 of every checkpoint without a published one, from its first use on."""

TABLE_SUFFIXES = ("csv", "md", "tex")
FIGURE_SUFFIXES = ("csv", "pdf", "svg", "png")


def split_folder(dataset: str, split: str) -> Path:
    """Folder of a prepared split."""
    return RESULTS / "datasets" / dataset / split


def split_files(dataset: str, split: str) -> list[Path]:
    """Files of a prepared split."""
    return [split_folder(dataset, split) / name for name in ("images.npy", "labels.npy", "manifest.json")]


def model_folder(scale: str, model: str) -> Path:
    """Folder of a model's weights, history and manifest."""
    return RESULTS / scale / "models" / model


def model_files(scale: str, model: str) -> list[Path]:
    """Files of a model, the weights first."""
    return [
        model_folder(scale, model) / name
        for name in ("weights.safetensors", "history.parquet", "manifest.json")
    ]


def shard_files(scale: str, work: str, evaluation: str, shards: int, suffix: str) -> list[Path]:
    """Files of the shards that an evaluation is joined from."""
    folder = evaluation_file(scale, work, evaluation).with_suffix("")
    return [folder / f"{shard}.{suffix}" for shard in range(shards)]


def evaluation_file(scale: str, work: str, evaluation: str) -> Path:
    """Table of an evaluation."""
    return RESULTS / scale / "evaluations" / work / f"{evaluation}.parquet"


def chunk_cache(scale: str, work: str, evaluation: str) -> Path:
    """Folder of an evaluation's finished chunks."""
    return RESULTS / scale / "chunks" / work / evaluation


def is_figure(artefact: str) -> bool:
    """Whether an artefact's name says that it is a figure."""
    return artefact.startswith("figure-")


def artefact_files(scale: str, work: str, artefact: str) -> list[Path]:
    """Files of an artefact, the numbers first."""
    suffixes = FIGURE_SUFFIXES if is_figure(artefact) else TABLE_SUFFIXES
    return [REPORTS / scale / work / f"{artefact}.{suffix}" for suffix in suffixes]


def artefact_meta(scale: str, work: str, artefact: str) -> Path:
    """Caption, notes and provenance of an artefact."""
    return REPORTS / scale / work / f"{artefact}.json"


def claims_file(scale: str, work: str) -> Path:
    """Verdicts of a work."""
    return REPORTS / scale / work / "claims.csv"


def work_page(scale: str, work: str) -> Path:
    """Narrative page of a work."""
    return REPORTS / scale / work / "index.html"


def index_page(scale: str) -> Path:
    """Front page of a scale."""
    return REPORTS / scale / "index.html"


def artefact_label(artefact: str) -> str:
    """Write an artefact's name as a work would: ``figure-4-9-first-tensor`` is Figure 4.9 (first tensor)."""
    kind, *parts = artefact.split("-")
    number = list(itertools.takewhile(lambda part: part[0].isdigit(), parts))
    words = " ".join(parts[len(number) :])
    return " ".join(
        filter(None, [kind.capitalize(), ".".join(number), f"({words})" if number and words else words])
    )


def artefact_title(artefact: str, title: str) -> str:
    """Write an artefact's title behind its number."""
    return f"{artefact_label(artefact)}: {title}"
