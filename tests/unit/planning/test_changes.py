"""Results that lie here and were made under another specification."""

from __future__ import annotations

import pyarrow as pa
import pytest

from gauntlet.configuration import paths
from gauntlet.planning.workflow import Workflow
from gauntlet.runtime.files import write_json
from gauntlet.runtime.tables import write_with_manifest


@pytest.fixture
def workflow_of(load_toy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda **settings: Workflow(load_toy(**settings))


@pytest.fixture
def made(workflow_of):
    """The jobs, a model and an evaluation of which are finished."""
    workflow = workflow_of()
    manifest = {"specification": workflow.model_specification("toy-4")}
    write_json(paths.model_folder("demo", "toy-4") / "manifest.json", manifest)
    table = paths.evaluation_file("demo", "toy", "attacks-4")
    table.parent.mkdir(parents=True)
    manifest = {"specification": workflow.evaluation_specification("toy", "attacks-4")}
    write_with_manifest(table, pa.table({"rank": [0, 1]}), manifest)
    return workflow


def changes(workflow, name="4"):
    return workflow.model_changes(f"toy-{name}"), workflow.evaluation_changes("toy", f"attacks-{name}")


def test_what_was_made_under_the_present_specification_is_up_to_date(made):
    assert changes(made) == ([], [])


def test_what_is_not_there_is_not_out_of_date(made):
    assert changes(made, "8") == ([], [])


def test_what_was_made_under_another_specification_gets_an_input_newer_than_itself(made, workflow_of):
    (of_model,), (of_evaluation,) = changes(workflow_of(seed=1))
    manifest = paths.model_folder("demo", "toy-4") / "manifest.json"
    assert of_model.stat().st_mtime_ns > manifest.stat().st_mtime_ns
    table = paths.evaluation_file("demo", "toy", "attacks-4")
    assert of_evaluation.stat().st_mtime_ns > table.stat().st_mtime_ns


def test_all_processes_of_a_run_see_the_same_newer_input(made, workflow_of):
    (first,), _ = changes(workflow_of(seed=1))
    content = first.read_text()
    changes(workflow_of(seed=1))
    assert first.read_text() == content


def test_shards_and_devices_put_nothing_out_of_date(made, workflow_of):
    assert changes(workflow_of(shards=3, device="cpu", hours_per_job=2)) == ([], [])


def test_a_damaged_table_is_out_of_date(made):
    paths.evaluation_file("demo", "toy", "attacks-4").write_bytes(b"PAR1")
    assert len(changes(made)[1]) == 1
