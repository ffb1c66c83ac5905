"""The index in a browser: the list can be searched, filtered and sorted. Needs Chromium."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gauntlet.reporting.site import build_site

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


def after(page: Path, steps: str) -> str:
    """The page as Chromium has it after JavaScript steps."""
    acted = page.with_name("acted.html")
    html = page.read_text(encoding="utf-8")
    acted.write_text(html.replace("</body>", f"<script>{steps}</script></body>"), encoding="utf-8")
    command = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    profile = f"--user-data-dir={page.parent / 'profile'}"
    ran = subprocess.run(
        [*command, profile, acted.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    return ran.stdout


def shown(html: str) -> list[str]:
    """Links of the list's visible rows, in their order."""
    rows = re.findall(r"<tr data-kind[^>]*>.*?</tr>", html, flags=re.DOTALL)
    visible = [row for row in rows if "hidden" not in row.split(">")[0]]
    return [re.findall(r'href="#invented2020-(.*?)"', row)[0] for row in visible]


def test_the_list_is_searched_filtered_and_sorted(reports: Path, site_spec: dict[str, Any]) -> None:
    page = build_site(site_spec, reports)
    steps = (
        "document.querySelector('.list thead th button').click();"
        "document.querySelector('.list thead th button').click();"
        "const kind = document.querySelector('select[data-key=kind]');"
        "kind.value = 'table'; kind.dispatchEvent(new Event('change'));"
        "const words = document.querySelector('.controls input');"
        "words.value = 'rows LARGE'; words.dispatchEvent(new Event('input'));"
    )
    assert shown(after(page, steps)) == []
    html = after(page, steps.replace("rows LARGE", "table"))
    assert shown(html) == ["table-9", "table-2", "table-1"]
    assert 'aria-sort="descending"' in html
    assert "3 of 9</output>" in html
    assert 'class="controls" hidden' not in html


def test_a_link_to_a_folded_claim_unfolds_it(reports: Path, site_spec: dict[str, Any]) -> None:
    html = after(build_site(site_spec, reports), "location.hash = '#invented2020-claim-c2';")
    assert re.search(r'<details class="block" id="invented2020-claims" open', html)
