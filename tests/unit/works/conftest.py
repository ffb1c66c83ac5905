"""What the tests of every work's artefacts and claims need."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from gauntlet.analysis import bootstrap
from gauntlet.analysis.inputs import ArtefactInputs, load_inputs
from gauntlet.analysis.verdicts import Verdict
from gauntlet.configuration import Catalogue, load_catalogue
from gauntlet.configuration.specifications import artefact_specification, claim_specification
from gauntlet.reporting.making import find_function
from gauntlet.runtime.files import write_json
from gauntlet.runtime.tables import write_with_manifest

CONFIG = Path(__file__).parents[3] / "config"
PUBLISHED = CONFIG / "published"


@pytest.fixture(autouse=True)
def fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge by 500 resamples: worlds are made so that a claim clearly holds or clearly does not."""
    for function in (
        bootstrap.bootstrap,
        bootstrap.bootstrap_means,
        bootstrap.bootstrap_means_over_seeds,
        bootstrap.bootstrap_over_seeds,
        bootstrap.mean,
        bootstrap.quantile,
        bootstrap.median,
        bootstrap.paired_difference,
    ):
        monkeypatch.setitem(function.__kwdefaults__, "resamples", 500)


@pytest.fixture(scope="module")
def work(request: pytest.FixtureRequest) -> str:
    """The work that the test's folder is named after."""
    return request.path.parent.name


@pytest.fixture(scope="module")
def published(work: str) -> Callable[..., pd.DataFrame]:
    """Return a function that reads published numbers as an artefact gets them."""

    def read(*files: str) -> pd.DataFrame:
        return pd.concat(
            [pd.read_csv(PUBLISHED / work / file).assign(file=file) for file in files], ignore_index=True
        )

    return read


@pytest.fixture(scope="session")
def catalogues() -> Callable[[str], Catalogue]:
    """Return a function that gives the project's own catalogue at a scale."""
    return cache(lambda scale: load_catalogue(CONFIG, {"scale": scale}))


@pytest.fixture(scope="session")
def written() -> dict[tuple[int, str], tuple[Any, Path, set[str]]]:
    """Worlds with the tables that were written of them and the procedures in these, by identity and evaluation.

    A world does not change, and many tests are about the same one: its tables are made once.
    """
    return {}


@pytest.fixture
def inputs_of(
    work: str,
    tmp_path_factory: pytest.TempPathFactory,
    catalogues: Callable[[str], Catalogue],
    written: dict[tuple[int, str], tuple[Any, Path, set[str]]],
) -> Callable[..., ArtefactInputs]:
    """Return a function that builds the inputs of an artefact or a claim of the configuration from a made-up world.

    Labels, settings and published numbers are the configuration's; the rows are the world's. Its
    ``evaluation(name)`` gives rows, manifest and kept images of an evaluation, its ``model(name)``, if models are
    read, history and manifest of a model, and its ``own_labels(evaluation, procedure)``, if it has any, labels of its
    own.
    """

    def build(name: str, world: Any, *, scale: str = "demo", **settings: Any) -> ArtefactInputs:
        catalogue = catalogues(scale)
        kind = artefact_specification if name.startswith(("table-", "figure-")) else claim_specification
        spec = kind(catalogue, work, name)
        folder = tmp_path_factory.mktemp("inputs")
        for evaluation, entry in spec["evaluations"].items():
            if (id(world), evaluation) not in written:
                frame, manifest, images = world.evaluation(evaluation)
                file = folder / f"{evaluation}.parquet"
                table = pa.Table.from_pandas(frame, preserve_index=False)
                write_with_manifest(file, table, manifest)
                if images:
                    np.savez(file.with_suffix(".npz"), **images)
                written[id(world), evaluation] = world, file, set(frame["procedure"])
            _, file, present = written[id(world), evaluation]
            own = getattr(world, "own_labels", lambda evaluation, procedure: {})
            procedures = {
                each: {**labels, **own(evaluation, each)}
                for each, labels in entry["procedures"].items()
                if each in present
            }
            spec["evaluations"][evaluation] = {**entry, "file": str(file), "procedures": procedures}
        for model, entry in spec["models"].items():
            history, manifest = world.model(model)
            place = folder / model
            place.mkdir()
            history.to_parquet(place / "history.parquet")
            write_json(place / "manifest.json", manifest)
            spec["models"][model] = {**entry, "folder": str(place)}
        return load_inputs({**spec, "settings": {**spec["settings"], **settings}})

    return build


@pytest.fixture
def verdict_of(work: str, catalogues: Callable[[str], Catalogue]) -> Callable[[ArtefactInputs], Verdict]:
    """Return a function that judges a claim on its inputs, by the check that the configuration names."""

    def judge(inputs: ArtefactInputs) -> Verdict:
        claim = claim_specification(catalogues(inputs.scale), work, inputs.name)
        return find_function(work, claim["chapter"], claim["check"])(inputs)

    return judge
