"""The workflow on a real Slurm: `make test-slurm`, some minutes, no part of `make test`."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path

# As the README says it, at the scale that needs no data.
SUBMIT = ("--profile", "profiles/slurm", "--config", "scale=demo")
LOCALLY = ("--cores", "1", "--config", "scale=demo")
# States of jobs are asked for every few seconds, where the profile leaves it at most of a minute.
SOON = ("--slurm-init-seconds-before-status-checks", "3")
# A table of one demo work, made from four trainings, and a figure, made from a training and an attack.
TABLES = ("reports/demo/song/table-convergence.csv", "reports/demo/song/figure-2-4.csv")
MODEL = "results/demo/models/song-undefended"
CHUNKS = "results/demo/chunks/song/undefended"

TOY = {
    "work.yaml": """\
title: A toy
document: {author: A. Author, title: Toys, kind: thesis, year: 2020}
""",
    "chapter.yaml": """\
models:
  toy:
    dataset: digits
    architecture: {name: cnn, layers: [{layer: linear, units: 16}]}
    training: {epochs: 1, optimizer: {name: adam, lr: 0.001}}
evaluations:
  toy:
    model: toy
    samples: {count: 20}
    chunk: 10
    shards: 2
    procedures:
      clean: {name: clean}
""",
}


def long_enough_to_be_ended(chapter):
    """A training of one network, and an attack on it in nine chunks, that each take a minute or more."""
    chapter["models"]["song-undefended"]["training"]["epochs"] = {"demo": 120, "full": 120}
    entry = chapter["evaluations"]["undefended"]
    entry["chunk"] = 4
    entry["procedures"]["carlini-wagner"]["settings"]["steps"] = {"demo": 1500, "full": 1500}


def csvs(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.glob("reports/**/*.csv")}


def test_a_demo_work_submitted_as_the_readme_says_ends_with_the_local_csv_files(cluster, project, capsys):
    submitted, local = project("submitted"), project("local")
    seconds = submitted.run(*SUBMIT, "works=song", "--", *TABLES)
    jobs = cluster.jobs("make_model") + cluster.jobs("run_evaluation")
    assert len(jobs) >= 6
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    assert all("gpu" not in str(job) for job in jobs), "a job of demo asked for a GPU"
    seconds_here = local.run(*LOCALLY, "works=song", "--", *TABLES)
    assert set(csvs(local.folder)) == set(TABLES)
    assert csvs(submitted.folder) == csvs(local.folder)
    with capsys.disabled():
        print(f"\n{len(jobs)} jobs: {seconds:.0f} s on Slurm, {seconds_here:.0f} s on one core without it")


def test_trainings_and_evaluations_ask_for_one_gpu_and_all_else_for_none(cluster, project):
    space = project("gpus")
    shutil.rmtree(space.folder / "config/works")
    (space.folder / "config/works/toy").mkdir(parents=True)
    for name, content in TOY.items():
        (space.folder / "config/works/toy" / name).write_text(content)
    before = {job["JobId"] for job in cluster.jobs()}
    target = "results/small/evaluations/toy/toy.parquet"
    space.run("--profile", "profiles/slurm", *SOON, "--config", "scale=small", "--", target)
    jobs = [job for job in cluster.jobs() if job["JobId"] not in before]
    asked = sorted((job["Comment"].split("_wildcards")[0], job.get("TresPerJob", "")) for job in jobs)
    gpu = "gres:gpu:1"
    assert asked == [
        ("rule_make_model", gpu), ("rule_run_evaluation", ""), ("rule_run_shard", gpu), ("rule_run_shard", gpu),
    ]  # fmt: skip


def test_jobs_that_reach_their_time_limit_go_on_and_end_with_the_local_csv_file(cluster, project):
    submitted, local = project("submitted"), project("local")
    for space in (submitted, local):
        space.edit("works/song/smoothing.yaml", long_enough_to_be_ended)
    model, chunks = submitted.folder / MODEL, submitted.folder / CHUNKS
    run = submitted.start(*SUBMIT, *SOON, "--", TABLES[1])

    submitted.wait_until((model / "resume.pt").exists, "the first epoch")
    cluster.end_by_time("make_model")
    submitted.wait_until(lambda: len(list(chunks.glob("*/*/*.parquet"))) >= 2, "two chunks")
    cluster.end_by_time("run_evaluation")
    assert run.wait() == 0, submitted.printed

    logs = submitted.folder / "logs/demo"
    assert "going on after epoch" in (logs / "models/song-undefended.log").read_text()
    assert (logs / "models/song-undefended.1.log").is_file()
    assert "chunks were finished before" in (logs / "evaluations/song/undefended.log").read_text()
    assert (logs / "evaluations/song/undefended.1.log").is_file()
    local.run(*LOCALLY, "--", TABLES[1])
    assert csvs(submitted.folder) == csvs(local.folder)


def test_ctrl_c_cancels_the_jobs_and_ends_within_seconds_with_a_line(cluster, project):
    space = project("stopped")
    space.edit("works/song/smoothing.yaml", long_enough_to_be_ended)
    run = space.start(*SUBMIT, "--", TABLES[1])
    space.wait_until((space.folder / MODEL / "resume.pt").exists, "the first epoch")
    started = time.monotonic()
    run.send_signal(signal.SIGINT)
    run.wait(timeout=60)
    assert time.monotonic() - started < 20
    assert "The same command goes on" in space.printed
    assert "RUNNING" not in {job["JobState"] for job in cluster.jobs()}
