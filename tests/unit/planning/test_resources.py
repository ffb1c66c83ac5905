"""Resources that a cluster is asked for, and the shards of evaluations."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from gauntlet.configuration import load_catalogue
from gauntlet.planning.cost import chunk_work, evaluation_work, training_work
from gauntlet.planning.resources import evaluation_resources, model_resources, shards
from gauntlet.planning.workflow import Workflow

ROOT = Path(__file__).parents[3]
DAY = 24 * 60


@pytest.fixture
def load_costly(load_toy):
    """Load the toy at full with two attacks of as many steps as wanted on 1,000 images in ten chunks."""

    def loaded(steps=1, epochs=30, evaluation=None, **settings):
        def change(chapter):
            entry = chapter["evaluations"]["attacks-{eps}"]
            entry["procedures"]["pgd-{steps}"]["foreach"]["steps"] = [steps, steps + 1]
            entry.update(evaluation or {})
            chapter["models"]["toy-{eps}"]["training"]["epochs"] = epochs

        return load_toy(change, scale="full", **settings)

    return loaded


def test_a_cheap_evaluation_is_one_job_of_half_an_hour(load_costly):
    catalogue = load_costly(epochs=1)
    assert shards(catalogue, "toy", "attacks-4") == 1
    assert evaluation_resources(catalogue, "toy", "attacks-4").minutes == 30
    assert model_resources(catalogue, "toy-4", imported=False).minutes == 30


@pytest.mark.parametrize("steps", [150_000, 400_000, 3_000_000])
def test_a_costly_evaluation_is_cut_into_shards_that_each_end_within_a_day(load_costly, steps):
    catalogue = load_costly(steps)
    whole = 5 * evaluation_work(catalogue, "toy", "attacks-4").gpu_hours
    count = shards(catalogue, "toy", "attacks-4")
    chunks_of_the_longest = -(-10 // count)
    assert whole > 24
    assert whole / 10 * chunks_of_the_longest <= 24 or count == 10
    minutes = evaluation_resources(catalogue, "toy", "attacks-4").minutes
    assert minutes == pytest.approx(min(60 * whole / 10 * chunks_of_the_longest, DAY), abs=1)


def test_a_shorter_limit_makes_more_and_shorter_jobs(load_costly):
    long, short = load_costly(400_000), load_costly(400_000, hours_per_job=12)
    assert shards(short, "toy", "attacks-4") > shards(long, "toy", "attacks-4")
    assert evaluation_resources(short, "toy", "attacks-4").minutes <= DAY / 2


def test_no_more_shards_than_chunks_however_costly_or_wanted(load_costly):
    assert shards(load_costly(10**8), "toy", "attacks-4") == 10
    assert shards(load_costly(shards=64), "toy", "attacks-4") == 10


def test_shards_of_an_entry_hold_and_those_of_the_user_go_before(load_costly):
    entry = {"shards": 3}
    assert shards(load_costly(evaluation=entry), "toy", "attacks-4") == 3
    assert shards(load_costly(evaluation=entry, shards=2), "toy", "attacks-4") == 2
    assert shards(load_costly(10**8, evaluation={"shards": 1}), "toy", "attacks-4") == 1


def test_shards_are_no_part_of_what_a_result_depends_on(load_costly):
    one, many = (Workflow(load_costly(shards=number)) for number in (1, 5))
    assert one.evaluation_specification("toy", "attacks-4") == many.evaluation_specification(
        "toy", "attacks-4"
    )


def test_a_long_training_asks_for_a_day_and_never_for_less_than_two_epochs(load_costly, load_toy):
    long = load_costly(epochs=3_000_000)
    assert model_resources(long, "toy-4", imported=False).minutes == DAY

    def endless_epochs(chapter):
        chapter["models"]["toy-{eps}"]["defence"]["attack"]["steps"] = 10**7

    catalogue = load_toy(endless_epochs, scale="full")
    epoch = training_work(catalogue, "toy-4").gpu_hours / 30
    assert epoch > 24
    assert model_resources(catalogue, "toy-4", imported=False).minutes == pytest.approx(120 * epoch, abs=1)


def test_an_evaluation_asks_for_longer_than_one_chunk_of_its_costliest_procedure(load_costly):
    catalogue = load_costly(10**8)
    chunk = chunk_work(catalogue, "toy", "attacks-4").gpu_hours
    assert chunk > 24
    assert evaluation_resources(catalogue, "toy", "attacks-4").minutes == pytest.approx(90 * chunk, abs=1)


def test_a_costly_chunk_is_that_of_one_procedure(load_costly):
    catalogue = load_costly(1000)
    whole, chunk = (work(catalogue, "toy", "attacks-4").flops for work in (evaluation_work, chunk_work))
    assert chunk == pytest.approx(whole / 10 * 2003 / (2001 + 2003))


def test_nothing_asks_for_a_gpu_where_none_is_used(load_costly, load_toy):
    on_gpus, on_cpus = load_costly(1000), load_costly(1000, device="cpu")
    assert evaluation_resources(on_gpus, "toy", "attacks-4").gpus == 1
    assert model_resources(on_gpus, "toy-4", imported=False).gpus == 1
    assert model_resources(on_gpus, "toy-4", imported=True).gpus == 0
    assert evaluation_resources(on_cpus, "toy", "attacks-4").gpus == 0
    assert model_resources(on_cpus, "toy-4", imported=False).gpus == 0
    assert evaluation_resources(load_toy(), "toy", "attacks-4").gpus == 0


def test_without_gpus_run_times_are_those_of_cpus(load_costly):
    on_cpus = load_costly(100, device="cpu", shards=1)
    hours = evaluation_work(on_cpus, "toy", "attacks-4").cpu_hours
    assert 0.1 < hours < 24 / 5
    assert evaluation_resources(on_cpus, "toy", "attacks-4").minutes == pytest.approx(300 * hours, abs=1)


@pytest.mark.parametrize("scale", ["small", "full"])
def test_no_job_of_the_works_asks_for_more_than_a_day_and_the_profile_has_the_tries_of_the_longest(scale):
    catalogue = load_catalogue(ROOT / "config", {"scale": scale})
    asked = {
        name: model_resources(catalogue, name, imported=False)
        for name in set(catalogue.origins.values())
        if catalogue.models[name].training is not None
    } | {
        f"{work.name}/{name}": evaluation_resources(catalogue, work.name, name)
        for work in catalogue.works.values()
        for name in work.content.evaluations
    }
    assert {name: resources.minutes for name, resources in asked.items() if resources.minutes > DAY} == {}
    profile = (ROOT / "profiles/slurm/config.v8+.yaml").read_text()
    retries = yaml.safe_load(profile)["retries"]
    assert max(resources.runs for resources in asked.values()) <= retries + 1
