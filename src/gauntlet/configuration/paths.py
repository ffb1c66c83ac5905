"""Where everything lies, relative to the working directory. The rules and the command line agree by this."""

from __future__ import annotations

import itertools
from pathlib import Path

RESULTS = Path("results")
REPORTS = Path("reports")
DOWNLOADS = RESULTS / "downloads"
"""Cache of downloaded archives and checkpoints."""

TABLE_SUFFIXES = ("csv", "md", "tex")
FIGURE_SUFFIXES = ("csv", "pdf", "svg", "png")


def split_folder(dataset: str, split: str) -> Path:
    """Folder of a prepared split."""
    return RESULTS / "datasets" / dataset / split


def model_folder(scale: str, model: str) -> Path:
    """Folder of a model's weights, history and manifest."""
    return RESULTS / scale / "models" / model


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
