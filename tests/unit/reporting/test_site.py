"""The index of a scale."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gauntlet.reporting.pages import first_sentence
from gauntlet.reporting.site import build_site

VOID = {"meta", "link", "img", "br", "hr", "input", "wbr", "col"}


class Structure(HTMLParser):
    """Collects what a test asks of a page, and fails on tags that do not match."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.headers: list[dict[str, str | None]] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        if attributes.get("id"):
            self.ids.append(str(attributes["id"]))
        if tag == "a" and attributes.get("href"):
            self.links.append(str(attributes["href"]))
        if tag == "th":
            self.headers.append(attributes)
        if tag == "img":
            self.images.append(attributes)
        if tag in ("img", "script", "link", "iframe", "source", "object"):
            self.loads += [str(attributes[key]) for key in ("src", "href", "data") if attributes.get(key)]

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data


@pytest.fixture
def page(reports: Path, site_spec: dict[str, Any]) -> tuple[Path, Structure]:
    path = build_site(site_spec, reports)
    return path, Structure(path.read_text(encoding="utf-8"))


def test_every_artefact_is_on_the_index(page: tuple[Path, Structure], site_spec: dict[str, Any]) -> None:
    _, structure = page
    for artefact in site_spec["works"][0]["artefacts"]:
        assert f"invented2020-{artefact['name']}" in structure.ids
        assert artefact["title"] in structure.text
    assert len(structure.ids) == len(set(structure.ids))
    assert {image["src"] for image in structure.images} == {
        "thumbnails/invented2020-figure-1.png",
        "thumbnails/invented2020-figure-2.png",
    }


def test_links_and_images_lead_to_files_that_exist(page: tuple[Path, Structure]) -> None:
    path, structure = page
    local = [link for link in structure.links if "://" not in link and not link.startswith("#")]
    written = [link for link in local if link.split("#")[0] != "invented2020/index.html"]
    assert len(written) > 10
    for target in [*written, *structure.loads]:
        assert (path.parent / target).is_file(), target
    for link in structure.links:
        assert not link.startswith("#") or link[1:] in structure.ids


def test_the_page_loads_nothing_from_elsewhere(page: tuple[Path, Structure]) -> None:
    path, structure = page
    assert structure.loads
    assert not any("//" in target for target in structure.loads)
    html = path.read_text(encoding="utf-8")
    scripts = re.findall(r"<script(.*?)>(.*?)</script>", html, flags=re.DOTALL)
    assert [attributes for attributes, _ in scripts] == [""], "the one script is part of the page"
    assert not re.search(r"fetch|XMLHttpRequest|import|https?:|WebSocket|sendBeacon", scripts[0][1])
    assert "@import" not in html
    assert "url(" not in html


def test_texts_are_escaped(page: tuple[Path, Structure]) -> None:
    path, structure = page
    html = path.read_text(encoding="utf-8")
    assert "<b>no</b>" not in html
    assert "<b>no</b>" in structure.text
    assert "On <Invention>" in structure.text


def test_readers_without_eyes_get_alternatives_and_scopes(page: tuple[Path, Structure]) -> None:
    _, structure = page
    for image in structure.images:
        assert len(image["alt"] or "") > 30
    assert structure.headers
    assert all(header.get("scope") in ("col", "row", "colgroup") for header in structure.headers)


def test_the_scoreboard_counts_artefacts_numbers_and_verdicts(page: tuple[Path, Structure]) -> None:
    html = page[0].read_text(encoding="utf-8")
    board = html[html.index('class="scoreboard"') : html.index('id="closeness"')]
    cells = [line.split("<")[0] for line in board.split('<td class="number">')[1:]]
    assert cells == ["4 / 5", "2", "1", "0", "0", "1"]


def test_the_index_opens_with_what_was_asked_and_how_many_claims_stand(
    page: tuple[Path, Structure],
) -> None:
    html = page[0].read_text(encoding="utf-8")
    answer = html[html.index('id="answer"') : html.index('id="scoreboard"')]
    tiles = re.findall(r"<dt>(.*?)</dt><dd>(\d+)</dd>", answer)
    assert tiles == [
        ("claims asked", "4"),
        ("stand, on digits", "2"),
        ("fall, on digits", "1"),
        ("remain open, on digits", "1"),
    ]
    assert "Of 5 published numbers, 4 (80\u202f%) stand beside a reproduced one" in answer


def test_closeness_is_told_by_work_and_chapter_as_shares(page: tuple[Path, Structure], reports: Path) -> None:
    html = page[0].read_text(encoding="utf-8")
    rows = html[html.index('class="closeness"') : html.index('id="invented2020"')]
    cells = [line.split("</td>")[0] for line in rows.split('<td class="number">')[1:]]
    counted = json.loads((reports / "demo" / "invented2020" / "table-1.json").read_text())["agreement"]
    inside = f"{counted['inside']} <small>{100 * counted['inside'] / 4:.0f}\u202f%</small>"
    assert cells == ["5", "4 <small>80\u202f%</small>", "4", inside] * 2, (
        "the work and its one compared chapter"
    )
    assert "hardening</th>" in rows
    assert "scaling</th>" not in rows, "a chapter without published numbers has no closeness"


def test_the_list_holds_every_claim_and_artefact_and_needs_no_script(
    page: tuple[Path, Structure], site_spec: dict[str, Any]
) -> None:
    html = page[0].read_text(encoding="utf-8")
    rows = html[html.index('class="list"') : html.index('<section class="work"')]
    names = [artefact["name"] for artefact in site_spec["works"][0]["artefacts"]]
    found = re.findall(r'<tr data-kind="(\w+)" data-work="invented2020" data-state="([\w ]+)">', rows)
    assert [kind for kind, _ in found] == ["claim"] * 4 + [name.split("-")[0] for name in names]
    assert [state for kind, state in found if kind != "claim"] == ["made"] * 4 + ["not made"]
    linked = re.findall(r'href="#invented2020-([^"]*)"', rows)
    assert linked == [*(f"claim-c{number}" for number in range(1, 5)), *names]
    assert '<form class="controls" hidden' in html, (
        "controls that only the script serves are hidden without it"
    )


def test_thumbnails_are_small_load_late_and_take_their_place_before(page: tuple[Path, Structure]) -> None:
    path, structure = page
    for picture in structure.images:
        assert picture["loading"] == "lazy"
        with Image.open(path.parent / str(picture["src"])) as image:
            assert image.width <= 520
            shape = int(picture["width"] or 0) / int(picture["height"] or 0)
            assert shape == pytest.approx(image.width / image.height, rel=0.02)


def test_the_works_own_methods_are_marked(page: tuple[Path, Structure]) -> None:
    html = page[0].read_text(encoding="utf-8")
    table = html[html.index('id="invented2020-table-1"') : html.index('id="invented2020-table-2"')]
    assert re.findall(r'class="number own">(\w+)</th>', table) == ["pgd"]
    assert re.findall(r'<tr class="own">\s*<th scope="row">(\w+)</th>', table) == ["hardened"]


def test_a_contradiction_at_demo_says_that_digits_stand_in(reports: Path, site_spec: dict[str, Any]) -> None:
    html = build_site(site_spec, reports).read_text(encoding="utf-8")
    claim = html[html.index('id="invented2020-claim-c2"') : html.index('id="invented2020-claim-c3"')]
    assert "contradicted, on digits" in claim
    supported = html[html.index('id="invented2020-claim-c1"') : html.index('id="invented2020-claim-c2"')]
    assert "on digits" not in supported


def test_a_reason_is_led_by_its_first_sentence() -> None:
    assert first_sentence("a: 0.9 [0.8, 1.0], above 0.5. b: 2, below 3. c.") == (
        "a: 0.9 [0.8, 1.0], above 0.5.",
        "b: 2, below 3. c.",
    )
    assert first_sentence("the images cannot be had") == ("the images cannot be had", "")


def test_claims_lead_to_their_tables_and_back(page: tuple[Path, Structure]) -> None:
    html = page[0].read_text(encoding="utf-8")
    claim = html[html.index('id="invented2020-claim-c1"') : html.index('id="invented2020-claim-c2"')]
    assert re.findall(r'href="#(.*?)"', claim) == ["invented2020-table-1", "invented2020-figure-1"]
    table = html[html.index('id="invented2020-table-1"') : html.index('id="invented2020-table-2"')]
    assert re.findall(r'href="#(.*?)"', table) == ["invented2020-claim-c1", "invented2020-claim-c2"]
    assert "Claims judged on this" not in html[html.index('id="invented2020-table-2"') :]


def test_a_table_tells_its_entry_function_published_numbers_and_command(
    reports: Path, site_spec: dict[str, Any]
) -> None:
    published = reports.parent / "config" / "published" / "invented2020" / "table_1.csv"
    published.parent.mkdir(parents=True)
    published.touch()
    html = build_site(site_spec, reports).read_text(encoding="utf-8")
    table = html[html.index('id="invented2020-table-1"') : html.index('id="invented2020-table-2"')]
    for fact in (
        "config/works/invented2020/hardening.yaml: artefacts.table-1",
        "gauntlet.works.invented2020.hardening.tables.robust_accuracy",
        "snakemake --cores all --forcerun -- reports/demo/invented2020/table-1.csv",
    ):
        assert f"<code>{fact}</code>" in table
    linked = re.search(r'href="([^"]*)"><code>config/published', table)
    assert linked and (reports / "demo" / linked[1]).resolve() == published
    assert '"><code>config/works' not in table, "a file that does not lie here is not linked"


def test_what_was_skipped_is_told_with_its_reason(page: tuple[Path, Structure]) -> None:
    _, structure = page
    assert "ImageNet is not in data_root" in structure.text
    assert "no folder of that name in data_root" in structure.text


def test_provenance_names_seed_code_libraries_device_and_time(page: tuple[Path, Structure]) -> None:
    _, structure = page
    origins = structure.text[structure.text.rindex("Provenance") :]
    # Three evaluations of 12.5 s each, although two artefacts share them.
    for fact in ("0.1.0+abc", "torch\u00a02.11.0", "cpu", "38 s", "7"):
        assert fact in origins


def test_a_site_without_any_artefact_says_why_there_is_none(
    tmp_path: Path, site_spec: dict[str, Any]
) -> None:
    for entry in site_spec["works"][0]["artefacts"]:
        entry["missing"] = "no data"
    structure = Structure(build_site(site_spec, tmp_path).read_text(encoding="utf-8"))
    assert not structure.images
    assert structure.text.count("no data") == 5
    assert (tmp_path / "demo" / "thumbnails").is_dir(), "the workflow expects the folder in any case"
