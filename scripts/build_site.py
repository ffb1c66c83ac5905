"""Write the index of a scale. A Snakemake script: see rules/reports.smk."""

import json
from pathlib import Path

from gauntlet.runtime.job import job

with job(snakemake):
    from gauntlet.reporting.site import build_site

    spec = json.loads(snakemake.params.spec)
    build_site(spec, Path(snakemake.output[0]).parents[1])
