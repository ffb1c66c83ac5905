"""A published network goes through the workflow without a training, and without the images of one."""

from __future__ import annotations

import copy
import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
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

PUBLISHED = {
    "0.weight": torch.rand(2, 1, 3, 3),
    "0.bias": torch.rand(2),
    "3.weight": torch.rand(10, 98),
    "3.bias": torch.rand(10),
}


def test_a_published_network_is_imported_in_place_of_a_training_and_remembered(workspace):
    space = workspace("published", {"toy": {"work": ABOUT, "chapter": CHAPTER}})
    file = space.folder / "data" / "checkpoints" / FILE
    file.parent.mkdir(parents=True)
    save_file(PUBLISHED, file)
    target = "results/demo/models/toy/weights.safetensors"
    printed = space.run("--config", "scale=demo", f"data_root={space.folder / 'data'}", "--", target)
    assert "1010 parameters imported" in printed.replace(",", "")
    imported = load_file(space.folder / target)
    assert all(torch.equal(imported[name], tensor) for name, tensor in PUBLISHED.items())
    lock = read_json(space.folder / "results" / "checkpoints.lock.json")
    assert lock == {FILE: file_sha256(file)}
    assert not (space.folder / "results" / "datasets").exists()


@pytest.fixture
def served(tmp_path):
    """A folder, and the address under which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_published_weights_are_downloaded_by_a_job_of_their_own_before_the_import(workspace, served):
    folder, address = served
    save_file(PUBLISHED, folder / "toy.safetensors")
    known = file_sha256(folder / "toy.safetensors")
    chapter = copy.deepcopy(CHAPTER)
    del chapter["models"]["toy"]["training"]
    chapter["models"]["toy"]["checkpoint"] |= {"url": f"{address}/toy.safetensors", "sha256": known}
    space = workspace("downloaded", {"toy": {"work": ABOUT, "chapter": chapter}})
    arguments = ("--config", "scale=demo", "--", "results/demo/models/toy/weights.safetensors")
    assert space.planned(*arguments) == [f"Downloading {FILE}", "Making the model toy"]
    space.run(*arguments)
    assert file_sha256(space.folder / "results/downloads/checkpoints" / FILE) == known
    assert space.planned(*arguments) == []
