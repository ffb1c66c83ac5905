"""The look of figures, and the drawings that recur."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.container import BarContainer
from scipy.signal import correlate2d

from gauntlet.reporting.diagrams import cells, convolved, draw_numbers
from gauntlet.reporting.panels import (
    draw_cdf,
    draw_difference,
    draw_heatmap,
    draw_histograms,
    draw_image,
    draw_lines,
    mark_published_ends,
)
from gauntlet.reporting.style import COLOURS, HATCHES, LINES, MARKERS, SEQUENTIAL, lightness, look, new_figure

# Machado, Oliveira and Fernandes 2009: full protanopia and deuteranopia, on linear RGB.
PROTANOPIA = [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
]
DEUTERANOPIA = [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
]


def as_seen(color: str, deficiency: list[list[float]]) -> tuple[float, ...]:
    channels = np.array(to_rgb(color))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(deficiency) @ linear, 0, 1)
    return tuple(np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055))


def test_lightness_of_known_colors() -> None:
    assert lightness("black") == 0
    assert lightness("white") == pytest.approx(100)
    assert lightness("#777777") == pytest.approx(50.03, abs=0.01)


@pytest.mark.parametrize("deficiency", [np.eye(3).tolist(), PROTANOPIA, DEUTERANOPIA])
def test_colors_grow_lighter_in_clear_steps_for_every_eye(deficiency: list[list[float]]) -> None:
    steps = np.diff([lightness(as_seen(color, deficiency)) for color in COLOURS])
    assert steps.min() > 4


def test_series_differ_in_more_than_color() -> None:
    for styles in (LINES, MARKERS, HATCHES):
        assert len(set(styles)) == len(COLOURS)


def test_sixteen_series_look_different() -> None:
    looks = [tuple(map(str, look(number).items())) for number in range(2 * len(COLOURS))]
    assert len(set(looks)) == len(looks)
    assert look(len(COLOURS)) == look(0) | {"markerfacecolor": "white"}


def test_heatmap_colors_grow_darker_throughout() -> None:
    steps = np.diff([lightness(SEQUENTIAL(position)) for position in np.linspace(0, 1, 30)])
    assert (steps < 0).all()


def test_panels_come_as_a_grid_and_are_lettered() -> None:
    _, panels = new_figure(3, 2, letters=True)
    assert panels.shape == (2, 3)
    assert [panel.get_title(loc="left") for panel in panels.flat] == [
        "(a)",
        "(b)",
        "(c)",
        "(d)",
        "(e)",
        "(f)",
    ]


def test_a_cdf_counts_what_was_never_done_in_the_total() -> None:
    _, panels = new_figure()
    found = draw_cdf(panels[0, 0], {"a": [5.0, 1.0, np.nan, 50.0, 5.0]}, limit=10)
    assert found.to_numpy().tolist() == [["a", 0.0, 0.0], ["a", 1.0, 20.0], ["a", 5.0, 60.0]]
    line = panels[0, 0].lines[0]
    assert (line.get_xdata()[-1], line.get_ydata()[-1]) == (10, 60.0)


def test_a_cdf_of_no_success_is_a_line_at_zero() -> None:
    _, panels = new_figure()
    draw_cdf(panels[0, 0], {"none": [np.inf, np.nan]}, limit=10)
    assert set(panels[0, 0].lines[0].get_ydata()) == {0.0}


def test_histograms_hold_the_share_of_each_sample() -> None:
    _, panels = new_figure()
    found = draw_histograms(panels[0, 0], {"a": [0, 0, 1, 3], "b": [3.0, 3.0]}, bins=[0, 2, 4])
    assert found["share"].tolist() == [0.75, 0.25, 0.0, 1.0]
    bars = [container for container in panels[0, 0].containers if isinstance(container, BarContainer)]
    edges = sorted((patch.get_x(), patch.get_x() + patch.get_width()) for bar in bars for patch in bar)
    assert all(left[1] <= right[0] + 1e-9 for left, right in itertools.pairwise(edges)), "bars overlap"


def test_a_heatmap_writes_every_known_cell_in_ink_that_can_be_read() -> None:
    _, panels = new_figure()
    frame = pd.DataFrame([[0.0, 0.5], [np.nan, 1.0]], ["r", "s"], ["x", "y"])
    image = draw_heatmap(panels[0, 0], frame, decimals=1)
    written = {tuple(map(int, text.get_position())): text for text in panels[0, 0].texts}
    assert {place: text.get_text() for place, text in written.items()} == {
        (0, 0): "0.0",
        (1, 0): "0.5",
        (1, 1): "1.0",
    }
    for (column, row), text in written.items():
        cell = lightness(image.to_rgba(frame.iloc[row, column]))
        assert abs(lightness(text.get_color()) - cell) > 40


def test_lines_follow_the_rows_of_their_series_in_order() -> None:
    _, panels = new_figure()
    frame = pd.DataFrame({"x": [2, 1, 1], "y": [4.0, 1.0, 7.0], "s": ["a", "a", "b"], "l": 0.0, "h": 9.0})
    draw_lines(panels[0, 0], frame, x="x", y="y", series="s", low="l", high="h")
    first, second = panels[0, 0].lines
    assert (first.get_label(), list(first.get_xdata()), list(first.get_ydata())) == ("a", [1, 2], [1.0, 4.0])
    assert second.get_label() == "b"
    assert len(panels[0, 0].collections) == 2


@pytest.mark.parametrize(("shape", "shown"), [((3, 4, 5), (4, 5, 3)), ((1, 4, 5), (4, 5)), ((4, 5), (4, 5))])
def test_images_are_shown_channels_last(shape: tuple[int, ...], shown: tuple[int, ...]) -> None:
    _, panels = new_figure()
    draw_image(panels[0, 0], np.full(shape, 0.5), "title")
    assert panels[0, 0].images[0].get_array().shape == shown


def test_an_image_with_channels_last_is_refused() -> None:
    _, panels = new_figure()
    with pytest.raises(ValueError, match="channels first"):
        draw_image(panels[0, 0], np.zeros((4, 5, 3)))


def test_a_difference_of_zero_is_the_middle_and_the_largest_the_end() -> None:
    _, panels = new_figure()
    draw_difference(panels[0, 0], np.array([[[0.0, 0.02], [-0.02, 0.01]]]))
    np.testing.assert_allclose(panels[0, 0].images[0].get_array(), [[0.5, 1.0], [0.0, 0.75]])
    draw_difference(panels[0, 0], np.zeros((1, 2, 2)))
    np.testing.assert_allclose(panels[0, 0].images[1].get_array(), 0.5)


def test_histograms_take_looks_of_their_own() -> None:
    _, panels = new_figure()
    draw_histograms(
        panels[0, 0], {"a": [0.0], "b": [1.0]}, bins=[0, 1, 2], looks={"b": {"facecolor": "white"}}
    )
    colors = [container[0].get_facecolor()[:3] for container in panels[0, 0].containers]
    assert colors == [to_rgb(COLOURS[0]), to_rgb("white")]


def test_a_kernel_is_applied_as_a_convolutional_layer_does() -> None:
    image = np.random.default_rng(0).random((9, 7))
    kernel = np.arange(9.0).reshape(3, 3)
    np.testing.assert_allclose(convolved(image, kernel), correlate2d(image, kernel, mode="valid"))


def test_a_grid_of_numbers_writes_each_entry_in_its_square() -> None:
    _, panels = new_figure()
    draw_numbers(panels[0, 0], np.array([[1, 2, 3], [4, 5, 6]]), "grid", shaded=(0, 1, 2, 1))
    written = {text.get_position(): text.get_text() for text in panels[0, 0].texts}
    assert written[(0.5, 1.5)] == "4" and len(written) == 6
    (marked,) = panels[0, 0].patches
    assert marked.get_bbox().bounds == (1, 0, 1, 2)


def test_cells_are_listed_row_by_row() -> None:
    listed = cells(np.array([[5, 6], [7, 8]]))
    assert listed.to_dict("list") == {"row": [0, 0, 1, 1], "column": [0, 1, 0, 1], "value": [5, 6, 7, 8]}


def test_published_ends_that_would_cover_each_other_stand_side_by_side() -> None:
    _, panels = new_figure()
    axes = panels[0, 0]
    axes.set_ylim(0, 100)
    ends = {"first": 99.8, "second": 99.7, "third": 60.0, "fourth": 98.0}
    mark_published_ends(axes, list(ends), ends, "published")
    places = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines[:4]]
    assert [height for _, height in places] == list(ends.values())
    first, second, third, fourth = (place for place, _ in places)
    assert first == third == 1, "on the edge where nothing is in the way"
    assert first < second < fourth
