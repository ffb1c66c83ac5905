"""A run that is killed is followed by the same command; two runs at once are not."""

from __future__ import annotations

import copy
import time

import psutil

TARGET = "results/demo/models/toy/weights.safetensors"

TOY = {
    "work": {
        "title": "A toy",
        "document": {"author": "A. Author", "title": "Toys", "kind": "thesis", "year": 2020},
    },
    "chapter": {
        "models": {
            "toy": {
                "dataset": "digits",
                "architecture": {"name": "cnn", "layers": [{"layer": "linear", "units": 64}]},
                "training": {"epochs": 40, "optimizer": {"name": "adam", "lr": 0.001}},
            },
        },
    },
}


def test_after_kill_9_the_same_command_goes_on_and_leaves_nothing_behind(workspace):
    space = workspace("killed", {"toy": TOY})
    arguments = ("--config", "scale=demo", "--", TARGET)
    run = space.start(*arguments)
    state = space.folder / "results/demo/models/toy/resume.pt"
    deadline = time.monotonic() + 240
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    jobs = psutil.Process(run.pid).children(recursive=True)
    for job in jobs:
        job.suspend()  # The training shall not end meanwhile.

    second = space.start(*arguments)
    refused, _ = second.communicate()
    assert second.returncode != 0
    assert f"another run goes on in {space.folder}, process {run.pid}" in refused
    assert "Traceback" not in refused

    run.kill()
    run.wait()
    for job in jobs:
        job.resume()
    printed = space.run(*arguments)
    assert "The last run here was killed" in printed
    assert "going on after epoch" in printed
    assert psutil.wait_procs(jobs, timeout=10)[1] == []
    left = {file.name for file in (space.folder / "results").rglob("*") if file.is_file()}
    arrays = {"images.npy", "labels.npy", "manifest.json"}
    assert left == arrays | {"weights.safetensors", "history.parquet"}


def test_a_folder_that_cannot_be_written_stops_a_run_before_its_first_job(workspace):
    space = workspace("full", {"toy": TOY})
    (space.folder / "reports").write_text("not a folder")
    process = space.start("--config", "scale=demo", "--", TARGET)
    printed, _ = process.communicate()
    assert process.returncode != 0
    assert "reports cannot be written" in printed
    assert "Traceback" not in printed
    assert not (space.folder / "results" / "datasets").exists()


def test_a_mistake_at_full_stops_a_run_of_demo(workspace):
    work = copy.deepcopy(TOY)
    work["chapter"]["models"]["toy"]["training"]["epochs"] = {"demo": 1, "full": "many"}
    space = workspace("mistake", {"toy": work})
    process = space.start("--config", "scale=demo", "--", TARGET)
    printed, _ = process.communicate()
    assert process.returncode != 0
    assert "at scale small" in printed
    assert "models.toy.training.epochs" in printed
