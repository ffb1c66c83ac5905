"""Inputs of artefacts and claims."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gauntlet.analysis.inputs import ArtefactInputs, TrainedModel, load_inputs
from gauntlet.errors import DataError
from gauntlet.runtime.files import write_json


def test_published_files_are_joined_and_name_their_file(tmp_path: Path) -> None:
    for name, row in (("table_1", "a,1"), ("text", "b,2")):
        (tmp_path / f"{name}.csv").write_text(f"key,value\n{row}\n", encoding="utf-8")
    files = [str(tmp_path / "table_1.csv"), str(tmp_path / "text.csv")]
    inputs = load_inputs({"work": "w", "name": "n", "scale": "demo", "published": files})
    assert inputs.published.to_numpy().tolist() == [["a", 1, "table_1.csv"], ["b", 2, "text.csv"]]
    with pytest.raises(DataError, match=r"absent\.csv"):
        load_inputs({"work": "w", "name": "n", "scale": "demo", "published": [str(tmp_path / "absent.csv")]})


def test_models_are_selected_by_their_labels(tmp_path: Path) -> None:
    models = tuple(
        TrainedModel(f"{method}-{sigma}", tmp_path, {"method": method, "sigma": sigma})
        for method in ("ours", "macer")
        for sigma in (0.25, 0.5)
    )
    inputs = ArtefactInputs(work="w", name="n", scale="demo", models=models)
    assert inputs.model(method="macer", sigma=0.5).name == "macer-0.5"
    assert [model.name for model in inputs.models_where(sigma=0.25)] == ["ours-0.25", "macer-0.25"]
    with pytest.raises(LookupError, match="2 models have the labels method='ours'"):
        inputs.model(method="ours")


def test_the_one_split_that_is_read_is_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((2, 1, 4, 4), dtype=np.uint8))
    np.save(tmp_path / "labels.npy", np.array([0, 1]))
    write_json(tmp_path / "manifest.json", {"shape": [2, 1, 4, 4], "classes": ["cat", "dog"]})
    inputs = ArtefactInputs(work="w", name="n", scale="demo", datasets={"made-up/test": tmp_path})
    assert inputs.split.classes == ["cat", "dog"] and len(inputs.split) == 2
