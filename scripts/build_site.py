"""Write the index of a scale. A Snakemake script: see rules/reports.smk."""

import json
from typing import TYPE_CHECKING, Any

from gauntlet.runtime.job import job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    from pathlib import Path

    from gauntlet.reporting.site import build_site

    spec = json.loads(snakemake.params.spec)
    build_site(spec, Path(snakemake.output[0]).parents[1])
