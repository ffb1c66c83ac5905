"""Boundary distances of a real run of RayS."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from gauntlet.analysis.results import load_results
from gauntlet.analysis.robustness import distance_trace, robust_at
from gauntlet.attacks.decision_based.rays import RayS
from gauntlet.contracts import Batch
from gauntlet.works.chen2021.boundary import boundary_distances


def test_distances_are_those_of_a_classifier_whose_boundary_is_known(tmp_path):
    """RayS on a brightness classifier: every image is 0.2 from its boundary, one is wrong from the start."""

    class Bright(torch.nn.Module):
        def forward(self, images):
            mean = images.flatten(1).mean(1)
            return torch.stack([mean, 0.3 * torch.ones_like(mean)], 1)

    images = torch.full((3, 1, 6, 6), 0.5)
    labels = torch.tensor([0, 0, 1])
    batch = Batch(images, labels, torch.arange(3), torch.Generator().manual_seed(0))
    rays = RayS(eps=0.1, budget=60, early_stop=False)
    columns = {name: values.numpy() for name, values in rays.run(Bright(), batch).columns.items()}
    common = {
        "procedure": "rays",
        "index": range(3),
        "label": labels,
        "target": -1,
        "correct": labels.numpy() == 0,
    }
    table = pa.Table.from_pandas(pd.DataFrame({**common, **columns}), preserve_index=False)
    pq.write_table(table.replace_schema_metadata({b"gauntlet": json.dumps({})}), tmp_path / "rays.parquet")
    threat = {"family": "decision_based", "norm": "linf", "radius": 0.1, "distance": "best_linf"}
    results = load_results(
        {"rays": {"file": tmp_path / "rays.parquet", "labels": {}, "procedures": {"rays": threat}}}
    )
    assert boundary_distances(results).mean() == pytest.approx(0.4 / 3, abs=1e-3)
    assert robust_at(results, 0.1).tolist() == [True, True, False]
    assert robust_at(results, 0.25).tolist() == [False, False, False]
    trace = distance_trace(results, "query").clip(upper=1.0).mean()
    assert trace.index.is_monotonic_increasing
    assert trace.iloc[0] == pytest.approx(2 / 3)
    assert trace.iloc[-1] == pytest.approx(0.4 / 3, abs=1e-3)
