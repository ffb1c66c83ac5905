"""The index of a scale: every work, every artefact, every verdict, and what was skipped, on one page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from gauntlet.reporting.pages import (
    Card,
    add_agreements,
    count_decisions,
    count_outcomes,
    load_card,
    load_verdicts,
    render_page,
)
from gauntlet.runtime.files import atomic_path, write_text

THUMBNAILS = "thumbnails"
_THUMBNAIL_WIDTH = 520


def build_site(spec: Mapping[str, Any], reports: str | Path) -> Path:
    """Write ``<reports>/<scale>/index.html``, which opens from the file system and loads thumbnails beside it alone.

    Args:
        spec: ``scale``, ``seed``, ``missing`` (reason by resource) and ``works``: per work its ``name``,
            ``title``, ``document`` (citation), ``chapters``, ``artefacts`` (``name``, ``title``, ``chapter``,
            ``missing``: reason or None), ``claims`` and ``page`` (files relative to the scale's folder).
        reports: the folder that holds one folder per scale.

    Returns:
        The page.
    """
    folder = Path(reports) / spec["scale"]
    works = [_work(work, folder) for work in spec["works"]]
    cards = [card for work in works for card in work["cards"]]
    thumbnails = folder / THUMBNAILS
    thumbnails.mkdir(
        parents=True, exist_ok=True
    )  # The workflow expects the folder also where nothing is drawn.
    for work in works:
        for figure in work["figures"]:
            _write_thumbnail(
                folder / work["name"] / figure.files["png"],
                thumbnails / f"{work['name']}-{figure.name}.png",
            )
    page = folder / "index.html"
    html = render_page(
        "index.html",
        scale=spec["scale"],
        seed=spec["seed"],
        works=works,
        total=_summary(cards, [verdict for work in works for verdict in work["verdicts"]]),
        missing=spec.get("missing", {}),
        provenance=_origins(cards),
    )
    write_text(page, html)
    return page


def _work(spec: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    verdicts = load_verdicts(folder / spec["claims"]) if spec["claims"] else []
    cards = [
        load_card(
            folder / spec["name"],
            entry["name"],
            title=entry["title"],
            missing=entry["missing"],
            verdicts=verdicts,
        )
        for entry in spec["artefacts"]
    ]
    chapters = {entry["name"]: entry["chapter"] for entry in spec["artefacts"]}
    return {
        "name": spec["name"],
        "title": spec["title"],
        "document": spec["document"],
        "page": spec["page"],
        "cards": cards,
        "figures": [card for card in cards if card.made and card.kind == "figure"],
        "tables": [card for card in cards if card.made and card.kind == "table"],
        "absent": [card for card in cards if not card.made],
        "verdicts": verdicts,
        "summary": _summary(cards, verdicts),
        "closeness": {
            chapter.replace("_", " "): add_agreements(
                card for card in cards if chapters[card.name] == chapter
            )
            for chapter in spec["chapters"]
        },
        "seconds": sum(_origins(cards)["inputs"].values()),
    }


def _write_thumbnail(picture: Path, target: Path) -> None:
    """Write a figure as wide as a column of the index on a sharp screen, in few colors."""
    with Image.open(picture) as image:
        image.thumbnail((_THUMBNAIL_WIDTH, 2 * _THUMBNAIL_WIDTH), Image.Resampling.LANCZOS)
        small = image.convert("RGB").quantize(64)
    with atomic_path(target) as temporary:
        small.save(temporary, format="png", optimize=True)


def _summary(cards: list[Card], verdicts: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "made": sum(card.made for card in cards),
        "artefacts": len(cards),
        "agreement": add_agreements(cards),
        "decisions": count_decisions(verdicts),
        "outcomes": count_outcomes(verdicts),
        "claims": len(verdicts),
    }


def _origins(cards: Iterable[Card]) -> dict[str, Any]:
    """Join the provenance of all artefacts; an input that several share counts once."""
    inputs: dict[str, float] = {}
    codes: set[str] = set()
    devices: set[str] = set()
    libraries: dict[str, set[str]] = {}
    for card in cards:
        if not card.made:
            continue
        origin = card.meta["provenance"]
        for name, seconds in origin["inputs"].items():
            # Networks are shared by all works, evaluations belong to one.
            inputs[name if name.startswith("model ") else f"{origin['work']}: {name}"] = seconds
        codes |= set(origin["codes"])
        devices |= set(origin["devices"])
        for library, version in origin["libraries"].items():
            libraries.setdefault(library, set()).add(version)
    return {
        "inputs": inputs,
        "codes": sorted(codes),
        "devices": sorted(devices),
        "libraries": {name: ", ".join(sorted(versions)) for name, versions in sorted(libraries.items())},
    }
