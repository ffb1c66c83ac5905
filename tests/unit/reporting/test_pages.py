"""The page of a work: a notebook executed into HTML."""

from __future__ import annotations

from pathlib import Path

import pytest

from gauntlet.errors import ConfigurationError
from gauntlet.reporting.narrative import Narrative
from gauntlet.reporting.notebooks import execute_notebook

NOTEBOOK = """
# %% [markdown]
# # Invented defences
#
# A story with *emphasis*.
#
# ## The setting

# %% tags=["parameters"]
work, scale, reports = "none", "full", "nowhere"

# %%
from gauntlet.reporting.narrative import Narrative

page = Narrative(work, scale, reports)
page.overview()

# %%
page.show("table-1", "figure-1", "table-9")

# %%
page.others()

# %%
page.verdicts("c1")

# %%
page.rerun("table-1")
"""


def test_a_notebook_becomes_a_page_that_loads_nothing_from_elsewhere(reports: Path, tmp_path: Path) -> None:
    notebook = tmp_path / "invented2020.py"
    notebook.write_text(NOTEBOOK, encoding="utf-8")
    page = reports / "demo" / "invented2020" / "index.html"
    execute_notebook(notebook, page, work="invented2020", scale="demo", reports=reports)
    html = page.read_text(encoding="utf-8")
    assert "<title>Invented defences" in html
    assert "<em>emphasis</em>" in html
    assert '<li><a href="#The-setting">The setting</a></li>' in html, "the contents lead to every part"
    assert 'id="The-setting"' in html
    assert 'src="figure-1.svg"' in html
    assert 'src="figure-2.svg"' in html
    assert html.count('id="figure-1"') == 1, "what was shown is not shown again among the others"
    assert "Not made: It was not made at this scale." in html
    assert "Hardening helps." in html
    assert "It scales." not in html
    assert "reports/demo/invented2020/table-1.csv" in html
    assert "<script" not in html
    assert "http" not in html.replace("https://example.org", "")
    assert "Narrative(work" not in html, "the code of the notebook is not shown"


def test_a_failing_cell_fails_the_page_and_names_the_notebook(tmp_path: Path) -> None:
    notebook = tmp_path / "broken.py"
    notebook.write_text('# %% tags=["parameters"]\nwork = 1\n\n# %%\n1 / 0\n', encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"broken\.py: a cell failed with ZeroDivisionError"):
        execute_notebook(notebook, tmp_path / "index.html", work="w", scale="demo", reports=tmp_path)
    assert not (tmp_path / "index.html").exists()


def test_a_notebook_without_parameters_is_refused(tmp_path: Path) -> None:
    notebook = tmp_path / "bare.py"
    notebook.write_text("# %%\n1\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="parameters"):
        execute_notebook(notebook, tmp_path / "index.html", work="w", scale="demo", reports=tmp_path)


def test_artefacts_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "demo" / "invented2020"
    folder.mkdir(parents=True)
    for name in ("table-10-1", "figure-2-10", "table-2-9", "table-2-2", "figure-scheme", "manifest"):
        (folder / f"{name}.json").write_text("{}", encoding="utf-8")
    found = Narrative("invented2020", "demo", tmp_path).artefacts()
    assert found == ["table-2-2", "table-2-9", "figure-2-10", "table-10-1", "figure-scheme"]


def test_an_unknown_claim_is_named_with_the_nearest(reports: Path) -> None:
    with pytest.raises(ConfigurationError, match="c1"):
        Narrative("invented2020", "demo", reports).verdicts("c11")


def test_patterns_show_every_artefact_that_matches(reports: Path) -> None:
    shown = Narrative("invented2020", "demo", reports).show("figure-*")
    assert 'id="figure-1"' in shown
    assert 'id="figure-2"' in shown
    assert "table-1" not in shown
