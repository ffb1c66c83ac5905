"""Fixtures that several test packages share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)

UNIT = Path(__file__).parent / "unit"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that start programs: one that took a minute at the end would leave other cores idle."""
    items.sort(key=lambda item: item.path.is_relative_to(UNIT))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The optional folder of real data files beside the checkout; tests that use it skip where it is absent."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the optional data folder is absent")
    return folder
