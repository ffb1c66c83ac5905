"""What the tests of every work's artefacts and claims need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gauntlet.reporting.inputs import ArtefactInputs

PUBLISHED = Path(__file__).parents[3] / "config" / "published"


@pytest.fixture
def work(request: pytest.FixtureRequest) -> str:
    """The work that the test's folder is named after."""
    return request.path.parent.name


@pytest.fixture
def published(work: str) -> Callable[..., pd.DataFrame]:
    """Return a function that reads published numbers as an artefact gets them."""

    def read(*files: str) -> pd.DataFrame:
        return pd.concat(
            [pd.read_csv(PUBLISHED / work / file).assign(file=file) for file in files], ignore_index=True
        )

    return read


@pytest.fixture
def inputs(work: str) -> Callable[..., ArtefactInputs]:
    """Return a function that builds the inputs of an artefact or a claim."""

    def build(**parts: Any) -> ArtefactInputs:
        return ArtefactInputs(work=work, name="made-up", scale="demo", **parts)

    return build
