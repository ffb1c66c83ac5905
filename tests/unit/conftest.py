"""A small configuration that unit tests load, change and break."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from gauntlet.configuration import load_catalogue

CONFIG = Path(__file__).parents[2] / "config"

ABOUT = {
    "title": "A toy",
    "document": {"author": "A. Author", "title": "Toys", "kind": "thesis", "year": 2020},
}
CHAPTER = {
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
def toy_chapter():
    """The content of the toy's chapter."""
    return copy.deepcopy(CHAPTER)


@pytest.fixture
def load_toy(tmp_path):
    """Load a configuration folder whose only work is the toy, with some of its chapter changed."""

    def loaded(changes=None, *, presets=None, chapters=None, **overrides):
        chapter = copy.deepcopy(CHAPTER)
        if changes:
            changes(chapter)
        work = tmp_path / "works" / "toy"
        work.mkdir(parents=True, exist_ok=True)
        files = {"work": ABOUT, "attacks": chapter, **(chapters or {})}
        for name, content in files.items():
            (work / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        if presets:
            (tmp_path / "presets").mkdir(exist_ok=True)
            (tmp_path / "presets" / "shared.yaml").write_text(yaml.safe_dump(presets, sort_keys=False))
        for name in ("config.yaml", "datasets.yaml"):
            (tmp_path / name).write_text((CONFIG / name).read_text())
        return load_catalogue(tmp_path, {"scale": "demo", **overrides})

    return loaded
