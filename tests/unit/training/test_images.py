"""Batches and their augmentation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from gauntlet.training.images import DeviceImages, TrainingImages, augment, to_unit_range
from gauntlet.training.settings import Crop, Flip, ResizedCrop


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered(count, height, width):
    """Images whose pixels all differ and are never black."""
    return (torch.arange(count * height * width) % 251 + 1).to(torch.uint8).view(count, 1, height, width)


def test_every_crop_is_a_window_of_the_padded_image_and_all_windows_occur():
    images = numbered(1, 6, 5).expand(400, 1, 6, 5)
    padded = torch.nn.functional.pad(images[0], (1, 1, 1, 1))
    windows = {padded[:, i : i + 6, j : j + 5].numpy().tobytes() for i in range(3) for j in range(3)}
    crops = {crop.numpy().tobytes() for crop in augment(images, [Crop(name="crop", padding=1)], generator())}
    assert crops == windows


def test_flips_mirror_about_half_of_the_images_left_to_right():
    images = numbered(400, 3, 4)
    flipped = augment(images, [Flip(name="flip")], generator())
    same = (flipped == images).flatten(1).all(1)
    mirrored = (flipped == images.flip(3)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 140 < mirrored.sum() < 260


def test_a_resized_crop_is_a_part_of_the_image_of_the_size_and_shape_that_are_allowed():
    """A ramp stays a ramp: its slope tells the part's share of the side, its middle the place."""
    ramp = 8 * torch.arange(32, dtype=torch.uint8)
    images = torch.stack([ramp.expand(32, 32), ramp[:, None].expand(32, 32)]).expand(300, 2, 32, 32)
    one = ResizedCrop(name="resized_crop", smallest=0.25, stretch=1.5)
    parts = augment(images, [one], generator()).float()
    assert torch.equal(parts[:, 0], parts[:, 0, :1].expand(-1, 32, -1))
    assert torch.equal(parts[:, 1], parts[:, 1, :, :1].expand(-1, -1, 32))
    row, column = parts[:, 0, 16], parts[:, 1, :, 16]
    width, height = ((side[:, 24] - side[:, 8]) / (16 * 8) for side in (row, column))
    area, ratio = width * height, width / height
    rounding = 0.03
    assert 0.25 - rounding < area.min() < 0.3
    assert 0.9 < area.max() <= 1 + rounding
    whole = torch.maximum(width, height) > 1 - rounding
    assert (ratio[~whole].log().abs() < math.log(1.5) + 2 * rounding).all()
    assert ratio.min() < 0.75
    assert ratio.max() > 1.3
    assert row[:, 16].std() > 20
    assert column[:, 16].std() > 20


def test_no_augmentation_changes_nothing():
    images = numbered(3, 4, 4)
    assert torch.equal(augment(images, [], generator()), images)


def test_bytes_become_floats_in_the_unit_interval():
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    torch.testing.assert_close(to_unit_range(images).flatten(), torch.tensor([0.0, 0.2, 1.0]))


def test_an_epoch_shows_every_image_once_with_its_label_and_position(train_set):
    images = TrainingImages(DeviceImages.of(train_set, torch.device("cpu")))
    batches = list(images.batches(50, [generator()], (), generator()))
    assert [len(batch) for batch in batches] == [50, 50, 20]
    indices = torch.cat([batch.indices for batch in batches]).numpy()
    assert sorted(indices) == list(range(120))
    assert list(indices) != list(range(120))
    assert np.array_equal(torch.cat([batch.labels for batch in batches]), train_set.labels[indices])
    shown = (torch.cat([batch.images for batch in batches]) * 255).round().to(torch.uint8)
    assert np.array_equal(shown, train_set.images[indices])


def test_a_batch_joins_one_batch_of_each_order_and_every_order_shows_each_image_once(train_set):
    images = TrainingImages(DeviceImages.of(train_set, torch.device("cpu")))
    orders = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    batches = list(images.batches(50, orders, (), generator()))
    assert [len(batch) for batch in batches] == [100, 100, 40]
    first, second = (
        torch.cat([batch.indices.chunk(2)[number] for batch in batches]).tolist() for number in (0, 1)
    )
    assert sorted(first) == sorted(second) == list(range(120))
    assert first != second


def test_a_second_pool_has_its_share_of_every_batch_and_the_epoch_as_many_updates():
    """50,000 images in batches of 256: 196 updates, each of 128 and 128, so half of the images in an epoch."""
    count, further = 50_000, 3_000
    own, pool = (
        DeviceImages(
            torch.zeros(size, 1, 1, 1, dtype=torch.uint8), torch.full((size,), label), torch.arange(size)
        )
        for label, size in enumerate((count, further))
    )
    images = TrainingImages(own, pool, 0.5)
    batches = list(images.batches(256, [generator()], (), generator()))
    assert len(batches) == images.updates(256) == 196
    assert all(batch.labels.bincount().tolist() == [128, 128] for batch in batches)
    seen = torch.cat([batch.indices[batch.labels == 0] for batch in batches])
    assert len(seen.unique()) == 196 * 128
    assert torch.cat([batch.indices[batch.labels == 1] for batch in batches]).max() < further


def test_a_second_pool_leaves_small_sets_their_last_batch(train_set):
    own = DeviceImages.of(train_set, torch.device("cpu"))
    batches = list(TrainingImages(own, own, 0.25).batches(50, [generator()], (), generator()))
    assert [len(batch) for batch in batches] == [50, 50, 50]


def test_held_out_images_are_those_that_are_not_learned_from(train_set):
    learned = DeviceImages.of(train_set, torch.device("cpu"), 90).indices.tolist()
    held_out = DeviceImages.of(train_set, torch.device("cpu"), 90, held_out=True).indices.tolist()
    assert sorted(learned + held_out) == list(range(120))


def test_fewer_samples_are_a_part_of_more_samples(train_set):
    few, more = (set(DeviceImages.of(train_set, torch.device("cpu"), n).indices.tolist()) for n in (10, 40))
    assert len(few) == 10
    assert few < more
    assert few != set(range(10))


def test_a_split_too_large_for_the_device_stays_in_its_memory_map_and_gives_the_same_batches(
    train_set, tmp_path, monkeypatch
):
    np.save(tmp_path / "images.npy", train_set.images)
    on_disk = replace(train_set, images=np.load(tmp_path / "images.npy", mmap_mode="r"))
    expected = list(
        TrainingImages(DeviceImages.of(train_set, torch.device("cpu"))).batches(
            50, [generator()], (), generator(1)
        )
    )
    monkeypatch.setattr("gauntlet.training.images.LARGEST_ON_DEVICE", on_disk.images.nbytes - 1)
    images = DeviceImages.of(on_disk, torch.device("cpu"))
    assert np.shares_memory(images.images.numpy(), on_disk.images)
    for batch, same in zip(
        TrainingImages(images).batches(50, [generator()], (), generator(1)), expected, strict=True
    ):
        assert torch.equal(batch.images, same.images)
        assert torch.equal(batch.labels, same.labels)
