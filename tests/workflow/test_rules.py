"""The rules as a whole: their picture in the documentation, and Snakemake's own opinion of them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXPLAINED = "Mixed rules and functions in same snakefile."


def snakemake(*arguments):
    """Run Snakemake in the project's folder and return it, ended."""
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--nolock", *arguments], cwd=ROOT, capture_output=True, text=True
    )


def arrows(mermaid):
    """Return the pairs of rules that a diagram connects."""
    names = dict(re.findall(r"^\s*(id\d+)\[(\w+)\]$", mermaid, re.MULTILINE))
    return {
        (names[one], names[other])
        for one, other in re.findall(r"^\s*(id\d+) --> (id\d+)$", mermaid, re.MULTILINE)
    }


def test_the_rule_graph_of_the_documentation_is_that_of_the_rules():
    makefile = (ROOT / "Makefile").read_text()
    arguments = shlex.split(re.search(r"^GRAPHED := (.+)$", makefile, re.MULTILINE)[1])
    drawn = arrows(snakemake("--quiet", "all", "--rulegraph", "mermaid-js", *arguments).stdout)
    assert len(drawn) > 15
    page = (ROOT / "docs/rule-graph.md").read_text()
    assert arrows(page) == drawn, "make graph writes it anew"
    rules = re.findall(
        r"^rule (\w+):", "".join(f.read_text() for f in ROOT.glob("rules/*.smk")), re.MULTILINE
    )
    assert [rule for rule in rules if rule not in page] == []


def test_lint_complains_of_nothing_but_what_is_explained():
    complaints = re.findall(r"^    \* (.+):$", snakemake("--lint").stderr, re.MULTILINE)
    assert set(complaints) == {EXPLAINED}
    assert EXPLAINED.lower().rstrip(".") in (ROOT / "CONTRIBUTING.md").read_text()
