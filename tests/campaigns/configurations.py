"""Configurations with one mistake that nobody can mean; each must be refused, at whatever scale it stands."""

from __future__ import annotations

import copy
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from outcomes import SILENT, Section

from gauntlet.configuration.every_scale import check_every_scale
from gauntlet.configuration.reading import read_yaml

CONFIG = Path(__file__).parents[2] / "config"
SECTIONS = ("models", "evaluations", "artefacts", "claims")
NUMBERS = (
    "steps",
    "eps",
    "chunk",
    "epochs",
    "lr",
    "budget",
    "count",
    "depth",
    "batch_size",
    "restarts",
    "keep_images",
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every entry of a mapping, at any depth; what labels and settings hold is free."""
    if isinstance(value, dict):
        for name, entry in value.items():
            if name in ("labels", "foreach", "settings", "published"):
                continue
            yield (*path, name)
            yield from places(entry, (*path, name))


def at(content: Any, path: tuple[Any, ...]) -> Any:
    """Return the value at a path."""
    for name in path:
        content = content[name]
    return content


def mutate(content: dict[str, Any], rng: random.Random) -> tuple[str, dict[str, Any]] | None:
    """Return a description and a content with one mistake, or None where this kind of mistake finds no place."""
    content = copy.deepcopy(content)
    known = [path for path in places({name: content.get(name) for name in SECTIONS}) if len(path) > 1]
    kind = rng.choice(
        ["typo", "text", "true", "negative", "huge", "base 60", "empty foreach", "no count", "path"]
    )
    if kind == "typo":
        keys = [
            path
            for path in known
            if len(path) > 2 and path[-1] in (*NUMBERS, "training", "samples", "procedures")
        ]
        path = rng.choice(keys) if keys else None
        if path is None:
            return None
        parent = at(content, path[:-1])
        parent[f"{path[-1]}x"] = parent.pop(path[-1])
    elif kind in ("text", "true", "negative", "huge", "base 60"):
        numbers = [
            path for path in known if path[-1] in NUMBERS and isinstance(at(content, path), (int, float))
        ]
        path = rng.choice(numbers) if numbers else None
        if path is None:
            return None
        values = {"text": "many", "true": True, "negative": -3, "huge": 10**400, "base 60": "1:30"}
        at(content, path[:-1])[path[-1]] = values[kind]
    elif kind == "empty foreach":
        entries = [(section, name) for section in SECTIONS for name, entry in (content.get(section) or {}).items()
                   if isinstance(entry, dict) and entry.get("foreach")]  # fmt: skip
        if not entries:
            return None
        path = rng.choice(entries)
        foreach = at(content, path)["foreach"]
        foreach[rng.choice(list(foreach))] = []
    elif kind == "no count":
        counts = [path for path in known if path[-2:] == ("samples", "count")]
        path = rng.choice(counts) if counts else None
        if path is None:
            return None
        at(content, path[:-1])["count"] = None
    else:
        made = [("artefacts", name) for name, entry in (content.get("artefacts") or {}).items() if entry]
        if not made:
            return None
        path = rng.choice(made)
        at(content, path)["published"] = ["../../../README.md"]
    return f"{kind} at {'.'.join(map(str, path))}", content


def damaged_text(file: Path, rng: random.Random) -> str:
    """Damage the bytes of a file so that no reader can mean it."""
    content = file.read_bytes()
    kind = rng.choice(["latin-1", "digits", "cut"])
    if kind == "latin-1":
        file.write_bytes(content.replace(b"\n", b"\n# gr\xf6\xdfer\n", 1))
    elif kind == "digits":
        file.write_bytes(content + b"\nfurther: " + b"9" * 5000 + b"\n")
    else:
        file.write_bytes(content + b"\nfurther: [1, 2\n")
    return kind


def campaign(folder: Path, seed: int, count: int) -> Section:
    """Load mutated configurations at all scales."""
    section, rng = Section("configuration"), random.Random(f"{seed} configurations")
    works = sorted(path.name for path in (CONFIG / "works").iterdir())
    while section.counts.total() < count:
        work = rng.choice(works)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(CONFIG, folder, ignore=lambda place, names, work=work: {
            name for name in names if Path(place) == CONFIG / "works" and name != work
        })  # fmt: skip
        file = rng.choice(sorted((folder / "works" / work).glob("*.yaml")))
        if rng.random() < 0.15:
            fault = damaged_text(file, rng)
        else:
            mutant = mutate(read_yaml(file), rng)
            if mutant is None:
                continue
            fault, content = mutant
            # Anchors are written out, so that a mistake stands in one place.
            text = yaml.dump(content, Dumper=NoAliases, sort_keys=False, allow_unicode=True)
            file.write_text(text, encoding="utf-8")

        def load() -> str:
            check_every_scale(folder, {}, folder / "checked")
            return SILENT

        section.attempt(f"{work}/{file.name}: {fault}", load)
    return section


class NoAliases(yaml.SafeDumper):
    """Writes a value in full wherever it stands."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
