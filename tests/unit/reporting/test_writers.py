"""Tables and figures on disk."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from gauntlet.analysis.inputs import ArtefactInputs, TrainedModel
from gauntlet.analysis.published import PARENTHESES
from gauntlet.analysis.results import load_results
from gauntlet.reporting.artefacts import Figure, Table
from gauntlet.reporting.formatting import escape_latex, format_frame, to_booktabs, to_markdown
from gauntlet.reporting.numerals import duration, format_number
from gauntlet.reporting.panels import draw_lines
from gauntlet.reporting.provenance import Provenance, provenance_of
from gauntlet.reporting.style import new_figure
from gauntlet.reporting.writers import (
    FIGURE_OUTPUTS,
    TABLE_OUTPUTS,
    with_origin_columns,
    write_figure,
    write_table,
)
from gauntlet.runtime.checksums import read_sealed_json

PROVENANCE = Provenance(
    work="invented2020",
    artefact="table-1",
    title="Table 1: 100 % of α",
    scale="demo",
    datasets=("digits/test",),
    models=("small_net",),
    samples={"one": 500, "two": 500},
    seeds=(3,),
    devices=("cpu",),
    codes=("0.1.0",),
    inputs={"evaluation one": 40.0, "evaluation two": 50.0},
)


def outputs(folder: Path, kinds: tuple[str, ...]) -> dict[str, Path]:
    return {kind: folder / f"artefact.{'json' if kind == 'meta' else kind}" for kind in kinds}


def read_markdown_table(text: str) -> pd.DataFrame:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return pd.DataFrame([*cells[2:]], columns=cells[0])


@pytest.fixture
def table() -> Table:
    frame = pd.DataFrame({"model": ["a|b", "c_d"], "accuracy": [12.3456, np.nan], "count": [3.0, np.nan]})
    return Table(frame, "Caption with 5 % & more.", notes=("A note.",), decimals={"accuracy": 1})


def test_a_table_is_read_back_from_csv_and_markdown(table: Table, tmp_path: Path) -> None:
    files = outputs(tmp_path, TABLE_OUTPUTS)
    write_table(table, PROVENANCE, files)
    read = pd.read_csv(files["csv"])
    pd.testing.assert_frame_equal(read[["model", "accuracy", "count"]], table.frame)
    assert read[["scale", "dataset", "samples"]].drop_duplicates().to_numpy().tolist() == [
        ["demo", "digits/test", 500]
    ]
    markdown = read_markdown_table(files["md"].read_text(encoding="utf-8"))
    assert markdown.to_dict("list") == {
        "model": [r"a\|b", "c_d"],
        "accuracy": ["12.3", "–"],
        "count": ["3", "–"],
    }


def test_every_text_format_states_scale_data_samples_seed_and_notes(table: Table, tmp_path: Path) -> None:
    files = outputs(tmp_path, TABLE_OUTPUTS)
    write_table(table, PROVENANCE, files)
    for kind in ("md", "tex"):
        text = files[kind].read_text(encoding="utf-8")
        for fact in ("scale demo", "digits/test", "500 samples", "seed 3", "90 s of computing", "A note."):
            assert fact in text, (kind, fact)
    meta = json.loads(files["meta"].read_text(encoding="utf-8"))
    assert meta["caption"] == table.caption
    assert meta["layout"]["rows"] == [["a|b", "12.3", "3"], ["c_d", "–", "–"]]
    assert meta["provenance"]["seconds"] == 90.0


def test_latex_is_escaped_and_has_as_many_cells_as_columns(table: Table, tmp_path: Path) -> None:
    files = outputs(tmp_path, TABLE_OUTPUTS)
    write_table(table, PROVENANCE, files)
    text = files["tex"].read_text(encoding="utf-8")
    assert r"c\_d & -- & -- \\" in text
    assert r"Table 1: 100 \% of $\alpha$. Caption with 5 \% \& more." in text
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    assert all(len(re.findall(r"(?<!\\)&", line)) == 2 for line in body.splitlines() if line.endswith(r"\\"))


def test_long_tables_break_over_pages(tmp_path: Path) -> None:
    files = outputs(tmp_path, TABLE_OUTPUTS)
    write_table(Table(pd.DataFrame({"n": range(60)}), "Long."), PROVENANCE, files)
    text = files["tex"].read_text(encoding="utf-8")
    assert text.count("longtable}") == 2
    assert r"\endhead" in text
    assert "tabular" not in text


def test_grouped_headers_span_their_columns() -> None:
    columns = pd.MultiIndex.from_tuples([("", "model"), ("l2", "x"), ("l2", "y"), ("linf", "x")])
    grid = format_frame(pd.DataFrame([["a", 1, 2, 3]], columns=columns))
    assert grid.spans() == [[("", 1), ("l2", 2), ("linf", 1)], [("model", 1), ("x", 1), ("y", 1), ("x", 1)]]
    assert to_markdown(grid).splitlines()[0].split("|")[2].strip() == "l2 / x"
    latex = to_booktabs(grid)
    assert r"\multicolumn{2}{c}{l2}" in latex
    assert r"\cmidrule(lr){2-3}" in latex


def test_a_named_index_becomes_the_leading_column() -> None:
    grid = format_frame(pd.DataFrame({"x": [1.5]}, index=pd.Index(["row"], name="name")))
    assert grid.header == [["name", "x"]]
    assert grid.rows == [["row", "1.5"]]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (29.6612, "29.66"),
        (0.0117647, "0.01176"),
        (-2.5, "−2.500"),
        (55378.6875, "55379"),
        (1e-34, "1.000e-34"),
        (0.0, "0"),
        (float("nan"), "–"),
        (float("-inf"), "−∞"),
    ],
)
def test_numbers_have_four_significant_digits(value: float, text: str) -> None:
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("numbers", "texts"),
    [
        ([0.0, 0.5, 1.0], ["0.0", "0.5", "1.0"]),
        ([0.12345, 1.0, np.nan], ["0.123", "1.000", "–"]),
        ([3.0, np.nan, 128.0], ["3", "–", "128"]),
        ([97.123, 3.25], ["97.12", "3.25"]),
        ([1e-5, 100.0], ["1.000e-05", "100.0"]),
    ],
)
def test_a_column_has_as_many_digits_in_every_cell_unless_magnitudes_differ(
    numbers: list[float], texts: list[str]
) -> None:
    grid = format_frame(pd.DataFrame({"x": numbers}))
    assert [row[0] for row in grid.rows] == texts


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.44, "0.4 s"), (95, "95 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_durations_have_a_fitting_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_latex_commands_in_texts_lose_their_meaning() -> None:
    assert escape_latex(r"\a{b}_c^d~") == r"\textbackslash{}a\{b\}\_c\textasciicircum{}d\textasciitilde{}"


def draw() -> Figure:
    canvas, panels = new_figure(2)
    frame = pd.DataFrame({"x": [1, 2, 3], "y": [1.0, 4.0, 9.0], "s": "one"})
    for panel in panels.flat:
        draw_lines(panel, frame, x="x", y="y", series="s")
    panels[0, 1].fill_between([1, 3], [1, 1], [2, 3], hatch="//")
    panels[0, 0].legend()
    return Figure(canvas, frame, "Squares.")


def test_two_drawings_of_the_same_figure_are_equal_byte_for_byte(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        write_figure(draw(), PROVENANCE, outputs(folder, FIGURE_OUTPUTS))
    for kind, file in outputs(folders[0], FIGURE_OUTPUTS).items():
        assert file.read_bytes() == (folders[1] / file.name).read_bytes(), kind


def test_writing_a_figure_twice_gives_the_same_files(tmp_path: Path) -> None:
    """The footer is taken off again."""
    figure = draw()
    files = outputs(tmp_path, FIGURE_OUTPUTS)
    write_figure(figure, PROVENANCE, files)
    first = files["svg"].read_bytes()
    write_figure(figure, PROVENANCE, files)
    assert files["svg"].read_bytes() == first
    assert not figure.canvas.texts


def test_a_figure_carries_no_time_and_no_path(tmp_path: Path) -> None:
    files = outputs(tmp_path, FIGURE_OUTPUTS)
    write_figure(draw(), PROVENANCE, files)
    for kind in ("pdf", "svg", "png"):
        content = files[kind].read_bytes()
        for trace in (b"CreationDate", b"dc:date", b"Software", str(tmp_path).encode()):
            assert trace not in content, kind


def test_the_footer_is_drawn_below_the_figure_without_covering_it(tmp_path: Path) -> None:
    """Below the drawing stands a strip with ink in it, and wider statements do not widen the figure."""
    sizes = []
    for name, datasets in (("short", ("a/test",)), ("long", tuple(f"dataset-{i}/test" for i in range(40)))):
        files = outputs(tmp_path / name, FIGURE_OUTPUTS)
        write_figure(draw(), Provenance("w", "figure-1", "t", "demo", datasets, ("m",), {"e": 3}), files)
        picture = imread(files["png"])[..., :3].min(axis=2)
        sizes.append(picture.shape)
        assert (picture[-40:] < 0.8).any(), "no ink in the lowest fifth of an inch"
    assert sizes[1][0] > sizes[0][0]
    assert sizes[1][1] <= sizes[0][1] + 4


def test_a_failing_writer_leaves_no_file_behind(tmp_path: Path) -> None:
    frame = pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")]))
    with pytest.raises(ValueError, match="plain columns"):
        write_table(Table(frame, "Grouped."), PROVENANCE, outputs(tmp_path, TABLE_OUTPUTS))
    assert list(tmp_path.iterdir()) == []


def test_a_note_on_parentheses_goes_where_no_cell_has_any(tmp_path: Path) -> None:
    notes = (PARENTHESES, "Kept.")
    for cell, kept in (("31.2 (29.7)", list(notes)), ("31.2", ["Kept."])):
        files = outputs(tmp_path, TABLE_OUTPUTS)
        write_table(Table(pd.DataFrame({"x": [cell]}), "c", notes=notes), PROVENANCE, files)
        assert read_sealed_json(files["meta"])["notes"] == kept


def test_a_csv_that_names_the_works_data_tells_which_ran() -> None:
    frame = pd.DataFrame({"dataset": ["CIFAR-10"], "x": [1.0]})
    told = with_origin_columns(frame, PROVENANCE)
    assert told.iloc[0].to_dict() == {
        "dataset": "CIFAR-10", "x": 1.0, "scale": "demo", "ran_on": "digits/test", "samples": "500",
    }  # fmt: skip


def test_data_that_ran_in_place_of_those_of_the_title_are_named() -> None:
    named = replace(PROVENANCE, title="Table 1: attacks on MNIST and GTS")
    assert named.stand_ins() == "In place of MNIST and GTS: digits/test."
    assert replace(named, datasets=("gts/test", "mnist/test")).stand_ins() == ""
    assert replace(named, datasets=()).stand_ins() == "", "a drawing from formulas has no data"


def test_rows_with_a_published_number_alone_claim_no_sample(tmp_path: Path) -> None:
    files = outputs(tmp_path, TABLE_OUTPUTS)
    frame = pd.DataFrame({"model": ["a", "b"], "reproduced": [1.0, np.nan], "published": [np.nan, 2.0]})
    write_table(Table(frame, "Two."), PROVENANCE, files)
    read = pd.read_csv(files["csv"])
    assert read["samples"].tolist()[0] == 500
    assert read[["scale", "dataset", "samples"]].iloc[1].isna().all()


def test_provenance_is_collected_from_all_evaluations(evaluations: dict[str, Any]) -> None:
    inputs = ArtefactInputs(
        work="invented2020",
        name="table-1",
        scale="demo",
        results=load_results(evaluations),
    )
    found = provenance_of(inputs)
    assert found.datasets == ("digits/test",)
    assert found.models == ("hardened", "natural", "smoothed")
    assert found.samples == {"natural": 120, "hardened": 120, "smoothed": 120}
    assert found.seconds == 37.5
    assert found.seeds == (7,)
    assert "0.1.0+abc" in found.codes
    assert found.statement() == "scale demo · digits/test · 3 models · 120 samples"
    assert set(found.specifications) == {f"evaluation {name}" for name in evaluations}


def test_provenance_of_trained_models_names_their_training_data(tmp_path: Path) -> None:
    specification = {"dataset": "digits", "classes": 10, "training": {"epochs": 2}, "seed": 5}
    manifest = {
        "specification": specification,
        "test_accuracy": 0.9,
        "libraries": {},
        "device": "cpu",
        "seconds": 3.0,
        "code": "0.1.0",
        "dataset_warnings": ["9 of 10 images"],
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    found = provenance_of(
        ArtefactInputs(work="w", name="figure-1", scale="demo", models=(TrainedModel("net", tmp_path),))
    )
    assert found.datasets == ("digits/train",)
    assert found.models == ("net",)
    assert found.inputs == {"model net": 3.0}
    assert found.warnings == ("digits/train: 9 of 10 images",)


def test_every_table_states_which_weights_stand_behind_its_numbers(tmp_path: Path) -> None:
    origins: dict[str, dict[str, Any]] = {
        "imported": {"checkpoint": {"file": "net.pt"}, "training": None},
        "replaced": {"checkpoint": None, "training": {}, "in_place_of": "other.pt"},
        "trained": {"checkpoint": None, "training": {}},
        "guessing": {"checkpoint": None, "training": {}},
    }
    models = []
    for name, origin in origins.items():
        (tmp_path / name).mkdir()
        specification = {"dataset": "digits", "classes": 10, "seed": 5, **origin}
        manifest = {"libraries": {}, "device": "cpu", "seconds": 3.0, "code": "0.1.0"}
        accuracy = 0.141 if name == "guessing" else 0.9
        text = json.dumps({**manifest, "specification": specification, "test_accuracy": accuracy})
        (tmp_path / name / "manifest.json").write_text(text, encoding="utf-8")
        models.append(TrainedModel(name, tmp_path / name))

    def statement(*chosen: TrainedModel) -> str:
        return provenance_of(
            ArtefactInputs(work="w", name="table-1", scale="full", models=chosen)
        ).statement()

    assert "imported · published weights net.pt" in statement(models[0])
    assert "replaced · trained here in place of published weights other.pt" in statement(models[1])
    for part in (
        "imported: published weights net.pt",
        "replaced: trained here in place",
        "trained: trained here",
        "guessing: trained here, hardly better than guessing (14% of the test images)",
    ):
        assert part in statement(*models)
    assert "guessing" not in statement(models[2])


def test_the_weights_of_an_evaluated_network_are_stated(evaluations: dict[str, Any], tmp_path: Path) -> None:
    manifest = {"specification": {"checkpoint": {"file": "net.pt"}}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    inputs = ArtefactInputs(
        work="invented2020",
        name="table-1",
        scale="demo",
        results=load_results({"natural": {**evaluations["natural"], "network": str(tmp_path)}}),
    )
    assert provenance_of(inputs).weights == {"natural": "published weights net.pt"}


def test_a_figure_from_a_formula_says_that_it_has_no_data() -> None:
    found = provenance_of(ArtefactInputs(work="w", name="figure-1", scale="full"))
    assert found.statement() == "scale full · from formulas alone, no data"
