"""A published network goes through the workflow without a training, and without the images of one."""

from __future__ import annotations

import torch
from safetensors.torch import load_file, save_file

from gauntlet.runtime.files import file_sha256, read_json

ABOUT = {
    "title": "A toy",
    "document": {"author": "A. Author", "title": "Toys", "kind": "thesis", "year": 2020},
}
FILE = "models/noise 0.12/toy.safetensors"
CHAPTER = {
    "models": {
        "toy": {
            "dataset": "mnist",
            "architecture": {"name": "cnn", "layers": [{"layer": "conv", "channels": 2, "stride": 4}]},
            "training": {"epochs": 1, "optimizer": {"name": "adam", "lr": 0.001}},
            "checkpoint": {"file": FILE, "page": "https://toys.example", "format": "torchvision"},
        }
    }
}


def test_a_published_network_is_imported_in_place_of_a_training_and_remembered(workspace):
    space = workspace("published", {"toy": {"work": ABOUT, "chapter": CHAPTER}})
    file = space.folder / "data" / "checkpoints" / FILE
    file.parent.mkdir(parents=True)
    published = {
        "0.weight": torch.rand(2, 1, 3, 3),
        "0.bias": torch.rand(2),
        "3.weight": torch.rand(10, 98),
        "3.bias": torch.rand(10),
    }
    save_file(published, file)
    target = "results/demo/models/toy/weights.safetensors"
    printed = space.run("--config", "scale=demo", f"data_root={space.folder / 'data'}", "--", target)
    assert "1010 parameters imported" in printed.replace(",", "")
    imported = load_file(space.folder / target)
    assert all(torch.equal(imported[name], tensor) for name, tensor in published.items())
    lock = read_json(space.folder / "results" / "checkpoints.lock.json")
    assert lock == {FILE: file_sha256(file)}
    assert not (space.folder / "results" / "datasets").exists()
