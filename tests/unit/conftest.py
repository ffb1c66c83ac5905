"""A small configuration that unit tests load, change and break."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from gauntlet.configuration import load_catalogue

CONFIG = Path(__file__).parents[2] / "config"

WORK = {
    "title": "A toy",
    "document": {"author": "A. Author", "title": "Toys", "kind": "thesis", "year": 2020},
    "models": {
        "toy-{eps}": {
            "foreach": {"eps": [4, 8]},
            "dataset": {"demo": "digits", "small": "mnist", "full": "mnist"},
            "architecture": {"name": "preact_resnet"},
            "defence": {
                "name": "adversarial_training",
                "attack": {
                    "name": "pgd",
                    "norm": "linf",
                    "eps": "{eps}/255",
                    "steps": 2,
                    "step_size": 0.01,
                },
            },
            "training": {
                "epochs": {"demo": 1, "small": 2, "full": 30},
                "optimizer": {"name": "sgd", "lr": 0.1},
            },
        },
    },
    "evaluations": {
        "attacks-{eps}": {
            "foreach": {"eps": [4, 8]},
            "model": "toy-{eps}",
            "samples": {"count": {"demo": 10, "small": 100, "full": 1000}},
            "procedures": {
                "pgd-{steps}": {
                    "foreach": {"steps": [1, 5]},
                    "name": "pgd",
                    "norm": "linf",
                    "eps": "8/255",
                    "steps": "{steps}",
                    "step_size": "2/255",
                },
            },
        },
    },
}


@pytest.fixture
def toy_work():
    """The content of a work's file."""
    return copy.deepcopy(WORK)


@pytest.fixture
def load_toy(tmp_path):
    """Load a configuration folder whose only work is the toy, with some of it changed."""

    def loaded(changes=None, **overrides):
        work = copy.deepcopy(WORK)
        if changes:
            changes(work)
        (tmp_path / "works").mkdir(exist_ok=True)
        (tmp_path / "works" / "toy.yaml").write_text(yaml.safe_dump(work, sort_keys=False))
        for name in ("config.yaml", "datasets.yaml"):
            (tmp_path / name).write_text((CONFIG / name).read_text())
        return load_catalogue(tmp_path, {"scale": "demo", **overrides})

    return loaded
