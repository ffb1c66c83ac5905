"""Seeds derived from purposes; devices leased to one job at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress

import pytest
import torch

from gauntlet.errors import ConfigurationError
from gauntlet.runtime.devices import leased_device
from gauntlet.runtime.seeding import generator_for, seed_for


def test_seeds_differ_with_every_part_of_their_purpose():
    purposes = [(0, "pgd", 1), (0, "pgd", 2), (1, "pgd", 1), (0, "fgsm", 1), (0, "pgd1")]
    assert len({seed_for(*purpose) for purpose in purposes}) == len(purposes)


def test_seeds_are_the_same_in_every_process():
    assert seed_for(0, "chunk", 3) == int(
        subprocess.run(
            [
                sys.executable,
                "-c",
                "from gauntlet.runtime.seeding import seed_for; print(seed_for(0, 'chunk', 3))",
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )


def test_equal_purposes_draw_equal_numbers():
    draws = [torch.rand(4, generator=generator_for("cpu", 0, "noise")) for _ in range(2)]
    assert torch.equal(*draws)


PAGE_FAULTS = """
import resource
import torch
from torch import nn
from gauntlet.runtime.devices import keep_freed_memory

keep_freed_memory()
torch.set_num_threads(1)
network = nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU())
images = torch.rand(100, 1, 28, 28)
with torch.inference_mode():
    for turn in range(8):
        if turn == 3:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        network(images)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="the C library is not GNU's")
def test_passes_after_the_first_cost_no_page_faults():
    """Handed back and mapped anew, the memory of these five passes costs more than twenty thousand."""
    process = subprocess.run([sys.executable, "-c", PAGE_FAULTS], capture_output=True, text=True, check=True)
    assert int(process.stdout) < 2000


def test_a_cpu_needs_no_lease(tmp_path):
    with leased_device("cpu", folder=tmp_path / "locks") as device:
        assert device == torch.device("cpu")
    assert not (tmp_path / "locks").exists()


class FakeCuda:
    """Two GPUs that are only counted, never used."""

    @staticmethod
    def install(monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        monkeypatch.setattr(torch.cuda, "set_device", lambda index: None)
        for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID"):
            monkeypatch.delenv(name, raising=False)


def test_two_jobs_get_two_gpus_and_a_third_waits_for_the_first_that_is_free(tmp_path, monkeypatch):
    FakeCuda.install(monkeypatch)
    first = leased_device("auto", folder=tmp_path)
    with first as one, leased_device("auto", folder=tmp_path) as two:
        assert {one.index, two.index} == {0, 1}
        waited = []

        def release(seconds):
            waited.append(seconds)
            first.__exit__(None, None, None)

        monkeypatch.setattr("gauntlet.runtime.devices.time.sleep", release)
        with leased_device("auto", folder=tmp_path) as three:
            assert three.index == one.index
        assert len(waited) == 1


def devices_are_leased_to_both(folder, monkeypatch, first, second):
    """Whether a job in the second environment gets its GPU while one in the first holds its own."""
    FakeCuda.install(monkeypatch)
    both = []
    for name, value in first.items():
        monkeypatch.setenv(name, value)
    with leased_device("cuda:0", folder=folder):
        for name, value in second.items():
            monkeypatch.setenv(name, value)

        class Waits(Exception):
            pass

        def wait(seconds):
            raise Waits

        monkeypatch.setattr("gauntlet.runtime.devices.time.sleep", wait)
        with suppress(Waits), leased_device("cuda:0", folder=folder):
            both.append(True)
    return bool(both)


def test_the_first_device_of_two_slurm_jobs_is_not_the_same(tmp_path, monkeypatch):
    one, two = ({"SLURM_JOB_ID": number, "CUDA_VISIBLE_DEVICES": "0"} for number in ("1", "2"))
    assert devices_are_leased_to_both(tmp_path, monkeypatch, one, two)


def test_jobs_in_one_slurm_allocation_exclude_each_other(tmp_path, monkeypatch):
    allocation = {"SLURM_JOB_ID": "1", "CUDA_VISIBLE_DEVICES": "0"}
    assert not devices_are_leased_to_both(tmp_path, monkeypatch, allocation, allocation)


def test_slurm_jobs_that_were_given_no_gpu_exclude_each_other_from_those_they_see(tmp_path, monkeypatch):
    assert not devices_are_leased_to_both(tmp_path, monkeypatch, {"SLURM_JOB_ID": "1"}, {"SLURM_JOB_ID": "2"})


def test_jobs_that_number_their_devices_anew_exclude_each_other_from_the_same_one(tmp_path, monkeypatch):
    one, two, other = ({"CUDA_VISIBLE_DEVICES": devices} for devices in ("1,0", "1", "MIG-1/2"))
    assert not devices_are_leased_to_both(tmp_path, monkeypatch, one, two)
    assert devices_are_leased_to_both(tmp_path, monkeypatch, one, other)


def test_locks_lie_on_the_node_by_default(tmp_path, monkeypatch):
    FakeCuda.install(monkeypatch)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with leased_device("auto"):
        assert len(list(tmp_path.glob(f"*/{os.uname().nodename}-*.lock"))) == 1


def test_jobs_share_a_gpu_when_told_to(tmp_path, monkeypatch):
    FakeCuda.install(monkeypatch)
    with (
        leased_device("cuda:0", jobs_per_gpu=2, folder=tmp_path) as one,
        leased_device("cuda:0", jobs_per_gpu=2, folder=tmp_path) as two,
    ):
        assert one.index == two.index == 0


def test_asking_for_an_absent_gpu_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigurationError, match="no GPU"), leased_device("cuda"):
        pass
