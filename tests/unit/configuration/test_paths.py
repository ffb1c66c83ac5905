"""Names of artefacts and where they lie."""

from __future__ import annotations

import pytest

from gauntlet.configuration import paths


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("table-4-3", "Table 4.3"),
        ("table-2", "Table 2"),
        ("figure-4-9-first-tensor", "Figure 4.9 (first tensor)"),
        ("figure-6a", "Figure 6a"),
        ("table-runtimes", "Table runtimes"),
    ],
)
def test_an_artefact_is_labelled_as_in_its_work(name, label):
    assert paths.artefact_label(name) == label


def test_a_figure_comes_in_four_formats_and_a_table_in_three():
    assert [path.suffix for path in paths.artefact_files("demo", "w", "figure-1")] == [
        ".csv",
        ".pdf",
        ".svg",
        ".png",
    ]
    assert [path.suffix for path in paths.artefact_files("demo", "w", "table-1")] == [".csv", ".md", ".tex"]
