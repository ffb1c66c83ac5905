"""Attacks are called on a model, images and labels, without a configuration."""

from __future__ import annotations

import torch

from gauntlet.attacks import PDPGD, Pgd
from gauntlet.contracts import Batch


def test_a_call_gives_what_a_run_on_the_same_batch_gives(cnn, random_batch):
    batch = random_batch()
    attack = Pgd(norm="linf", eps=0.1, steps=5, step_size=0.03, random_start="uniform")
    called = attack(cnn, batch.images, batch.labels, seed=3)
    run = attack.run(cnn, Batch(batch.images, batch.labels, batch.indices, torch.Generator().manual_seed(3)))
    assert torch.equal(called.images, run.images)
    assert called.columns.keys() == run.columns.keys()


def test_calls_repeat_with_the_seed_only(cnn, random_batch):
    batch = random_batch()
    attack = PDPGD(norm="linf", steps=5)
    first, again, other = (attack(cnn, batch.images, batch.labels, seed=seed).images for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_call_with_targets_and_confidence_succeeds_where_they_are_reached(cnn, random_batch):
    batch = random_batch(32, targeted=True)
    attack = Pgd(norm="linf", eps=0.3, steps=20, step_size=0.05)
    found = attack(cnn, batch.images, batch.labels, targets=batch.targets)
    assert torch.equal(found.columns["success"], found.columns["prediction"] == batch.targets)
    lead = -batch.criterion.margin(cnn(found.images))
    middle = lead[found.columns["success"]].median().item()
    sure = attack(cnn, batch.images, batch.labels, targets=batch.targets, confidence=middle)
    assert torch.equal(sure.columns["success"], lead >= middle)
    assert 0 < sure.columns["success"].sum() < found.columns["success"].sum()
