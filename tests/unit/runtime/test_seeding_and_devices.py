"""Seeds derived from purposes; devices leased to one job at a time."""

from __future__ import annotations

import os
import subprocess
import sys

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
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


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
