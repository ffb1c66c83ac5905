"""The workflow as a module of another one, from a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from gauntlet.configuration import load_catalogue

ROOT = Path(__file__).parents[2]
DIAGRAM = "reports/demo/song/figure-2-1.csv"
OTHER = f"""
configfile: "config/config.yaml"


module gauntlet:
    snakefile:
        "{ROOT}/Snakefile"
    config:
        config["gauntlet"]


use rule * from gauntlet as gauntlet_*


rule count_rows:
    default_target: True
    input:
        "{DIAGRAM}",
    output:
        "rows.txt",
    shell:
        "wc -l < {{input}} > {{output}}"
"""


@pytest.fixture
def other(workspace):
    """Return a folder with a workflow of its own that has Gauntlet as a module, and a configuration of its own."""
    space = workspace("other", {})
    for file in space.folder.glob("config/*.yaml"):
        file.unlink()
    (space.folder / "config" / "works").rmdir()
    (space.folder / "config" / "config.yaml").write_text("gauntlet: {scale: demo, works: [song]}\n")
    (space.folder / "Snakefile").write_text(OTHER)
    return type(space)(space.folder, project=space.folder, started=space.started)


def test_another_workflow_goes_on_with_a_figure_of_this_one(other):
    other.run()
    rows = (other.folder / DIAGRAM).read_text().splitlines()
    assert (other.folder / "rows.txt").read_text().strip() == str(len(rows))


def test_all_of_a_work_is_planned_from_another_folder_with_the_settings_of_the_other_workflow(other):
    planned = other.planned("gauntlet_all")
    works = load_catalogue(ROOT / "config", {"scale": "demo"}).works
    assert [message for message in planned if message.startswith("Writing the page")] == [
        "Writing the page of song"
    ]
    figures = [name for name in works["song"].content.artefacts if name.startswith("figure-")]
    assert sum(message.startswith("Drawing") for message in planned) == len(figures)
