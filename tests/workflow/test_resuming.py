"""The DAG as a user meets it: nothing is computed twice, and nothing that was finished is lost."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import psutil
import pytest

from gauntlet.runtime.files import file_sha256

TARGETS = [f"results/demo/evaluations/toy/{name}.parquet" for name in ("weak", "strong")]
WEIGHTS = "results/demo/models/toy/weights.safetensors"
EPOCHS = 6

TOY = {
    "work": {
        "title": "A toy",
        "document": {"author": "A. Author", "title": "Toys", "kind": "thesis", "year": 2020},
    },
    "chapter": {
        "models": {
            "toy": {
                "dataset": "digits",
                "architecture": {
                    "name": "cnn",
                    "layers": [
                        {"layer": "conv", "channels": 16, "stride": 2, "padding": 1},
                        {"layer": "conv", "channels": 32, "stride": 2, "padding": 1},
                        {"layer": "linear", "units": 64},
                    ],
                },
                "defence": {
                    "name": "adversarial_training",
                    "attack": {"name": "pgd", "norm": "linf", "eps": 0.1, "steps": 3, "step_size": 0.05},
                },
                "training": {"epochs": EPOCHS, "optimizer": {"name": "adam", "lr": 0.001}},
            },
        },
        "evaluations": {
            "{name}": {
                "foreach": {"name, eps": [["weak", 0.05], ["strong", 0.2]]},
                "model": "toy",
                "samples": {"count": 60, "order": "random"},
                "chunk": 10,
                "procedures": {
                    "clean": {"name": "clean"},
                    "pgd-{start}": {
                        "foreach": {"start": ["none", "uniform"]},
                        "name": "pgd",
                        "norm": "linf",
                        "eps": "{eps}",
                        "steps": 400,
                        "step_size": 0.01,
                        "random_start": "{start}",
                    },
                },
            },
        },
    },
}

ARGUMENTS = ("--config", "scale=demo", "--", *TARGETS)


@pytest.fixture(scope="module")
def uninterrupted(lay_out, tmp_path_factory):
    """A workspace in which both evaluations were made in one run; it is compared with and copied, never changed."""
    space = lay_out(tmp_path_factory.mktemp("uninterrupted") / "workspace", {"toy": TOY})
    space.run(*ARGUMENTS)
    return space


@pytest.fixture
def finished(uninterrupted, tmp_path):
    """A workspace of the test's own in which both evaluations were made, with Snakemake's records."""
    return replace(uninterrupted, folder=shutil.copytree(uninterrupted.folder, tmp_path / "finished"))


def numbers(folder: Path) -> dict[str, object]:
    """Everything that must not depend on how the run went."""
    frames = {target: pd.read_parquet(folder / target) for target in TARGETS}
    return {
        "weights": file_sha256(folder / WEIGHTS),
        **{target: frame.to_csv() for target, frame in frames.items()},
    }


def kill_job(process, script: str, started) -> None:
    """Kill, with signal 9, the job that runs a script, once ``started`` says that it is under way."""
    deadline = time.monotonic() + 600  # far more than a busy machine needs
    while time.monotonic() < deadline:
        jobs = [
            child for child in psutil.Process(process.pid).children(recursive=True) if _runs(child, script)
        ]
        if jobs and started():
            jobs[0].kill()
            return
        time.sleep(0.02)
    pytest.fail(f"no job ran {script}")


def _runs(process: psutil.Process, script: str) -> bool:
    try:
        return process.name().startswith("python") and any(script in part for part in process.cmdline())
    except psutil.Error:  # It ended between the look at the table and this one.
        return False


def test_killed_jobs_end_with_the_numbers_of_an_uninterrupted_run(workspace, uninterrupted):
    cut = workspace("cut", {"toy": TOY})

    state = cut.folder / "results/demo/models/toy/resume.pt"
    training = cut.start(*ARGUMENTS)
    kill_job(training, "make_model", state.exists)
    assert training.wait() != 0
    assert state.exists()
    assert not (cut.folder / WEIGHTS).exists()

    chunks = cut.folder / "results/demo/chunks/toy/strong"
    evaluation = cut.start("--config", "scale=demo", "--", *TARGETS[1:])
    kill_job(evaluation, "run_evaluation", lambda: len(list(chunks.glob("pgd-none/*/*.parquet"))) >= 2)
    assert evaluation.wait() != 0
    finished = set(chunks.glob("*/*/*.parquet"))
    assert 0 < len(finished) < 18
    before = {file: file.stat().st_mtime_ns for file in finished}

    printed = cut.run(*ARGUMENTS)
    assert "of 18 chunks were finished before" in printed
    assert {file: file.stat().st_mtime_ns for file in finished} == before, (
        "a finished chunk was computed again"
    )
    assert numbers(cut.folder) == numbers(uninterrupted.folder)
    assert not state.exists()


def test_only_what_depends_on_a_changed_setting_runs_again(finished):
    assert finished.planned(*ARGUMENTS) == []
    assert finished.planned("--config", "scale=demo", "shards=3", "--", *TARGETS) == []
    before = numbers(finished.folder)

    finished.edit(
        "toy",
        lambda work: work["evaluations"]["{name}"]["foreach"].update(
            {"name, eps": [["weak", 0.05], ["strong", 0.3]]}
        ),
    )
    planned = finished.planned(*ARGUMENTS)
    assert [message for message in planned if "strong" in message] == planned
    assert len(planned) == 1
    finished.run(*ARGUMENTS)
    after = numbers(finished.folder)
    assert [name for name in before if before[name] != after[name]] == [TARGETS[1]]


def test_results_do_not_depend_on_the_number_of_shards(finished):
    before = numbers(finished.folder)
    finished.edit("toy", lambda work: work["evaluations"]["{name}"].update(shards=3))
    for target in TARGETS:
        (finished.folder / target).unlink()
    chunks = finished.folder / "results/demo/chunks"
    for file in chunks.glob("*/*/*/*/*.parquet"):
        file.unlink()
    finished.run(*ARGUMENTS)
    assert numbers(finished.folder) == before


def test_a_mistake_in_the_configuration_stops_before_any_job_and_without_a_traceback(workspace):
    space = workspace("mistake", {"toy": TOY})
    space.edit("toy", lambda work: work["models"]["toy"].update(dataset="digit"))
    process = space.start(*ARGUMENTS)
    printed, _ = process.communicate()
    assert process.returncode != 0
    assert "unknown data set" in printed
    assert "models.toy.dataset" in printed
    assert "did you mean digits" in printed
    assert "Traceback" not in printed
    assert not (space.folder / "results").exists()


def test_copied_results_are_made_anew_only_where_their_specification_changed(workspace, uninterrupted):
    copied = workspace("copied", {"toy": TOY})
    # Neither Snakemake's records go along, nor the times of the workflow's files.
    shutil.copytree(uninterrupted.folder / "results", copied.folder / "results")
    clone = copied.under_a_fresh_clone()
    assert clone.planned(*ARGUMENTS) == []
    clone.edit(
        "toy",
        lambda work: work["evaluations"]["{name}"]["foreach"].update(
            {"name, eps": [["weak", 0.05], ["strong", 0.3]]}
        ),
    )
    planned = clone.planned(*ARGUMENTS)
    assert len(planned) == 1
    assert "strong" in planned[0]
