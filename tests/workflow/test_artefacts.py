"""One figure at a time: what a target needs is made, and nothing else."""

from __future__ import annotations

import contextlib
import json
import re

import pandas as pd
import pytest

from gauntlet.bundle import write_bundle
from gauntlet.configuration import load_catalogue
from gauntlet.planning.workflow import Workflow

FIGURE = "reports/demo/maerz2023/figure-4-6"


@pytest.fixture
def space(workspace):
    return workspace()


def test_a_figure_asks_only_for_what_it_is_made_from(space):
    planned = space.planned(f"{FIGURE}.pdf")
    assert [message for message in planned if message.startswith("Making the model")] == [
        "Making the model maerz-natural"
    ]
    assert sum(message.startswith("Preparing") for message in planned) == 2
    assert sum(message.startswith("Evaluating") for message in planned) == 1
    assert (
        sum(
            message.startswith(("Drawing", "Making table", "Checking", "Writing", "Building"))
            for message in planned
        )
        == 1
    )


def test_a_figure_is_made_with_its_numbers_and_redrawn_from_a_bundle_without_training(space, workspace):
    space.run(f"{FIGURE}.pdf", "reports/demo/maerz2023/table-4-3.csv")
    for suffix in ("pdf", "svg", "png", "csv", "json"):
        assert (space.folder / f"{FIGURE}.{suffix}").stat().st_size > 100
    frame = pd.read_csv(f"{space.folder / FIGURE}.csv")
    assert set(frame["scale"].dropna()) == {"demo"}
    meta = json.loads((space.folder / f"{FIGURE}.json").read_text())
    assert "digits-rgb" in json.dumps(meta["provenance"])
    table = pd.read_csv(space.folder / "reports/demo/maerz2023/table-4-3.csv")
    assert {"reproduced", "published"} <= set(table.columns)
    assert space.planned(f"{FIGURE}.pdf", "reports/demo/maerz2023/table-4-3.csv") == []

    bundle = space.folder / "bundle.zip"
    with contextlib.chdir(space.folder):
        write_bundle(Workflow(load_catalogue("config", {"scale": "demo", "works": "maerz2023"})), bundle)
    fresh = workspace("fresh")
    printed = fresh.run("--config", f"data_root={bundle}", "--", f"{FIGURE}.pdf")
    assert re.findall(r"^Job \d+: (\w+)", printed, re.MULTILINE) == ["Drawing"]
    assert (fresh.folder / f"{FIGURE}.csv").read_bytes() == (space.folder / f"{FIGURE}.csv").read_bytes()


def test_the_default_target_asks_for_every_file_so_that_a_removed_one_is_made_again(space):
    printed = space.run("--dry-run", "--config", "scale=demo", "works=maerz2023")
    wanted = re.search(r"^rule all:\n    input: (.+)$", printed, re.MULTILINE)[1].split(", ")
    assert "reports/demo/index.html" in wanted
    assert {f"{FIGURE}.pdf", "reports/demo/maerz2023/table-4-3.csv"} <= set(wanted)


def test_unknown_targets_are_answered_with_what_there_is(space):
    for target, message in (
        ("reports/demo/maerz2023/figure-9-9.pdf", "unknown artefact of maerz2023"),
        ("reports/demo/nobody1999/figure-1-1.pdf", "unknown work"),
        ("results/demo/models/nothing/weights.safetensors", "unknown model"),
    ):
        process = space.start(target)
        printed, _ = process.communicate()
        assert process.returncode != 0
        assert message in printed


def test_the_whole_dag_of_the_published_size_is_planned(space):
    printed = space.run("--dry-run", "everything", "--config", "scale=full")
    assert "make_figure" in printed
    assert "run_evaluation" in printed
