"""The page of all methods."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gauntlet.contracts import DEFENCES, PROCEDURES
from gauntlet.methods import methods_page, source_of

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"


def test_the_page_is_what_the_registries_say():
    """In a process of its own: other tests register components that the page does not have."""
    script = "import sys; from gauntlet.methods import methods_page; sys.stdout.write(methods_page())"
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert PAGE.read_text(encoding="utf-8") == made, "gauntlet methods writes it anew"


def test_every_component_has_a_line_on_the_page():
    page = methods_page()
    assert all(f"| `{name}`" in page for name in [*PROCEDURES.names(), *DEFENCES.names()])


def test_an_attack_is_shown_with_all_its_norms_and_what_it_sees():
    (pdpgd,) = (line for line in methods_page().splitlines() if line.startswith("| `pdpgd`"))
    assert "| minimum_norm | linf, l2, l1, l0 | gradients | matyasko2020, Algorithm 3" in pdpgd


def test_the_source_is_the_first_sentence_of_its_paragraph():
    class Method:
        """Do something.

        Source: Somebody et al. (2019), section
        2. The rest is a remark.
        """

    assert source_of(Method) == "Somebody et al. (2019), section 2"
