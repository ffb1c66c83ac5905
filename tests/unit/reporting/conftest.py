"""A small made-up work: two attacks on three models, with tables, figures, claims and published numbers."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import paired_share_difference, share
from gauntlet.analysis.published import PARENTHESES, beside_published, side_by_side
from gauntlet.analysis.verdicts import Verdict, above, equals
from gauntlet.reporting.artefacts import Figure, Table
from gauntlet.reporting.making import check_claims, make_artefact, write_claims
from gauntlet.reporting.panels import draw_cdf, draw_heatmap, draw_histograms, draw_lines
from gauntlet.reporting.style import new_figure, shared_legend
from gauntlet.reporting.writers import FIGURE_OUTPUTS, TABLE_OUTPUTS
from gauntlet.runtime.tables import write_with_manifest

WORK = "invented2020"
CHAPTER = "hardening"
MODELS = ("natural", "hardened", "smoothed")


def robust_accuracy(inputs: ArtefactInputs) -> Table:
    rows = []
    for (model, attack), found in inputs.results.groups("model", "attack"):
        rows.append((model, attack, *share(~found.column("success")).scaled(100)))
    frame = pd.DataFrame(rows, columns=["model", "attack", "reproduced", "ci_low", "ci_high"])
    compared = beside_published(frame, inputs.published, on=["model", "attack"])
    return Table(
        compared,
        "Robust accuracy in percent under a gradient attack & a query attack.",
        notes=(PARENTHESES, "Radius 8/255; <b>no</b> restarts."),
        layout=side_by_side(compared, rows=["model"], columns=["attack"], decimals=1),
    )


def queries(inputs: ArtefactInputs) -> Figure:
    canvas, panels = new_figure(2, share_y=False)
    costs = {
        model: found.column("queries").where(found.column("success"))
        for model, found in inputs.results.where(attack="square").groups("model")
    }
    frame = draw_cdf(panels[0, 0], costs, limit=1000)
    panels[0, 0].set(xlabel="queries", ylabel="success rate in %", title="(a) queries until success")
    norms = {m: found.column("l2") for m, found in inputs.results.where(attack="pgd").groups("model")}
    draw_histograms(panels[0, 1], norms, bins=6)
    panels[0, 1].set(
        xlabel="distance $\\ell_2$", ylabel="share of images", title="(b) size of the perturbation"
    )
    shared_legend(canvas, panels[0, 0])
    return Figure(canvas, frame, "Queries until success, and the size of what was found.")


def similarity(inputs: ArtefactInputs) -> Figure:
    canvas, panels = new_figure(2, panel_height=2.8)
    matrix = np.exp(-np.abs(np.subtract.outer(range(6), range(6))) / 2.5)
    names = ["clean", "1", "2", "4", "8", "16"]
    image = draw_heatmap(panels[0, 0], pd.DataFrame(matrix, names, names), low=0, high=1)
    canvas.colorbar(image, ax=panels[0, 0], label="cosine similarity")
    steps = pd.DataFrame({"steps": [1, 2, 4, 8, 16] * 3, "model": np.repeat(MODELS, 5)})
    steps["accuracy"] = np.concatenate([100 * np.exp(-steps["steps"][:5] / rate) for rate in (3, 12, 30)])
    steps["low"], steps["high"] = steps["accuracy"] - 4, steps["accuracy"] + 4
    draw_lines(panels[0, 1], steps, x="steps", y="accuracy", series="model", low="low", high="high")
    panels[0, 1].set(xlabel="steps", ylabel="accuracy in %")
    panels[0, 1].legend()
    return Figure(
        canvas, steps, "Similarity of gradients, and accuracy against steps.", notes=("From a formula.",)
    )


def many_rows(inputs: ArtefactInputs) -> Table:
    frame = pd.DataFrame(
        {"radius": np.linspace(0, 1, 60), "count": np.arange(60), "name": [f"row_{i}" for i in range(60)]}
    )
    return Table(frame, "A long table.", decimals={"radius": 3})


def wrong_kind(inputs: ArtefactInputs) -> Verdict:
    return Verdict("supported", "not an artefact")


def failing(inputs: ArtefactInputs) -> Table:
    raise ZeroDivisionError("nothing to divide by")


def _held(inputs: ArtefactInputs, model: str) -> pd.Series:
    return ~inputs.results.one(model=model, attack="pgd").column("success")


def hardened_is_stronger(inputs: ArtefactInputs) -> Verdict:
    """More images of the hardened model withstand PGD."""
    gain = paired_share_difference(_held(inputs, "hardened"), _held(inputs, "natural"))
    return above("hardened minus natural", gain)


def smoothed_is_weaker(inputs: ArtefactInputs) -> Verdict:
    """Fewer images of the smoothed model withstand PGD."""
    gain = paired_share_difference(_held(inputs, "natural"), _held(inputs, "smoothed"))
    return above("natural minus smoothed", gain)


def factor(inputs: ArtefactInputs) -> Verdict:
    return equals("factor", 2.5, 2.5, tolerance=1e-9)


def _write_evaluation(path: Path, model: str, robustness: float, count: int) -> None:
    generator = np.random.default_rng(len(model))
    frames = []
    for procedure, bonus in (("pgd", 0.0), ("square", 0.15)):
        success = generator.random(count) > robustness + bonus
        frames.append(
            pd.DataFrame(
                {
                    "procedure": procedure,
                    "index": np.arange(count),
                    "label": generator.integers(10, size=count),
                    "target": -1,
                    "correct": True,
                    "success": success,
                    "l2": generator.gamma(4, 0.2, size=count),
                    "queries": generator.geometric(0.005, size=count) if procedure == "square" else np.nan,
                }
            )
        )
    manifest: dict[str, Any] = {
        "specification": {
            "work": WORK,
            "evaluation": model,
            "model": model,
            "dataset": "digits",
            "samples": {"split": "test", "count": count},
            "seed": 7,
            "procedures": {"pgd": {"name": "pgd"}, "square": {"name": "square"}},
        },
        "code": "0.1.0+abc",
        "libraries": {"torch": "2.11.0", "numpy": "2.4.0"},
        "device": "cpu",
        "seconds": 12.5,
        "selection": {"samples": count, "skipped": []},
    }
    write_with_manifest(path, pa.Table.from_pandas(pd.concat(frames), preserve_index=False), manifest)


@pytest.fixture(scope="session")
def evaluations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Tables of three evaluations, with 120 images each."""
    folder = tmp_path_factory.mktemp("evaluations")
    made = {}
    for model, robustness in zip(MODELS, (0.05, 0.55, 0.45), strict=True):
        file = folder / f"{model}.parquet"
        _write_evaluation(file, model, robustness, 120)
        made[model] = {
            "file": str(file),
            "labels": {"model": model, "dataset": "digits"},
            "procedures": {"pgd": {"attack": "pgd"}, "square": {"attack": "square"}},
        }
    return made


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Published numbers: one without a counterpart of ours, and one of ours is not published."""
    path = tmp_path_factory.mktemp("published") / "table_1.csv"
    rows = [
        "natural,pgd,0.0",
        "natural,square,15.2",
        "hardened,pgd,53.1",
        "smoothed,pgd,44.0",
        "certified,pgd,61.0",
    ]
    path.write_text("model,attack,value\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return str(path)


def _install(patch: pytest.MonkeyPatch) -> None:
    """Make the made-up work importable as the works of the package are."""
    chapter = f"gauntlet.works.{WORK}.{CHAPTER}"
    functions = {
        "tables": (robust_accuracy, many_rows, wrong_kind, failing),
        "figures": (queries, similarity),
        "claims": (hardened_is_stronger, smoothed_is_weaker, factor, failing),
    }
    for name in (f"gauntlet.works.{WORK}", chapter):
        patch.setitem(sys.modules, name, ModuleType(name))
    for name, contents in functions.items():
        module = ModuleType(f"{chapter}.{name}")
        for function in contents:
            setattr(module, function.__name__, function)
        patch.setitem(sys.modules, module.__name__, module)


@pytest.fixture
def invented_work(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the made-up work, which can be imported."""
    _install(monkeypatch)
    return WORK


ARTEFACTS = (
    ("table-1", "tables.robust_accuracy", "Table 1: robust accuracy"),
    ("table-2", "tables.many_rows", "Table 2: many rows"),
    ("figure-1", "figures.queries", "Figure 1: queries & distances"),
    ("figure-2", "figures.similarity", 'Figure 2: "similarity" <of gradients>'),
)


def artefact_spec(
    name: str, make: str, title: str, evaluations: dict[str, Any], published: str
) -> dict[str, Any]:
    """The specification of an artefact, as the workflow passes it."""
    return {
        "work": WORK,
        "chapter": CHAPTER,
        "name": name,
        "kind": name.split("-")[0],
        "title": title,
        "make": make,
        "own": ["hardened", "pgd"],
        "scale": "demo",
        "evaluations": evaluations if make in ("tables.robust_accuracy", "figures.queries") else {},
        "published": [published] if make == "tables.robust_accuracy" else [],
        "settings": {},
    }


def outputs_of(folder: Path, name: str) -> dict[str, Path]:
    """Target files of an artefact."""
    kinds = TABLE_OUTPUTS if name.startswith("table") else FIGURE_OUTPUTS
    return {kind: folder / f"{name}.{'json' if kind == 'meta' else kind}" for kind in kinds}


def claims_of(evaluations: dict[str, Any]) -> dict[str, Any]:
    """The specification of the claims, as the workflow passes it; one of them cannot be tested."""
    claims = {
        "c1": ("hardened_is_stronger", "Hardening helps.", None),
        "c2": ("smoothed_is_weaker", "Smoothing | hurts.", None),
        "c3": ("factor", "The factor is 2.5.", None),
        "c4": ("factor", "It scales.", "the images cannot be had"),
    }
    return {
        "claims": [
            {
                "work": WORK,
                "chapter": CHAPTER,
                "name": name,
                "source": name.upper(),
                "statement": statement,
                "check": f"claims.{check}",
                "scale": "demo",
                "reduced": "Smoothing | hurts one network." if name == "c2" else "",
                "untestable": "",
                "artefacts": ["table-1", "figure-1"] if name in ("c1", "c2") else [],
                "missing": missing,
                "evaluations": evaluations,
            }
            for name, (check, statement, missing) in claims.items()
        ]
    }


@pytest.fixture
def claims_spec(evaluations: dict[str, Any]) -> dict[str, Any]:
    """The claims of the made-up work."""
    return claims_of(evaluations)


@pytest.fixture(scope="session")
def made_once(
    tmp_path_factory: pytest.TempPathFactory, evaluations: dict[str, Any], published: str
) -> Iterator[Path]:
    """A report folder with every artefact and verdict of the made-up work."""
    reports = tmp_path_factory.mktemp("made") / "reports"
    folder = reports / "demo" / WORK
    with pytest.MonkeyPatch.context() as patch:
        _install(patch)
        for name, make, title in ARTEFACTS:
            make_artefact(artefact_spec(name, make, title, evaluations, published), outputs_of(folder, name))
        write_claims(check_claims(claims_of(evaluations)), folder / "claims.csv", folder / "claims.md")
        yield reports


@pytest.fixture
def reports(made_once: Path, tmp_path: Path) -> Path:
    """A copy of the report folder, to build pages in."""
    return shutil.copytree(made_once, tmp_path / "reports")


@pytest.fixture
def site_spec() -> dict[str, Any]:
    """The specification of the site, as the workflow passes it."""
    entries = [
        {"name": name, "title": title, "chapter": CHAPTER, "missing": None} for name, _, title in ARTEFACTS
    ]
    entries.append(
        {
            "name": "table-9",
            "title": "Table 9: <large>",
            "chapter": "scaling",
            "missing": "ImageNet is not in data_root",
        }
    )
    document = {"author": "A. N. Author", "title": "On <Invention>", "kind": "thesis", "year": 2020}
    return json.loads(
        json.dumps(
            {
                "scale": "demo",
                "seed": 7,
                "missing": {"imagenet/test": "no folder of that name in data_root"},
                "works": [
                    {
                        "name": WORK,
                        "title": "Invented defences",
                        "document": {**document, "institution": None, "url": "https://example.org/work"},
                        "artefacts": entries,
                        "chapters": [CHAPTER, "scaling"],
                        "claims": f"{WORK}/claims.csv",
                        "page": f"{WORK}/index.html",
                    }
                ],
            }
        )
    )
