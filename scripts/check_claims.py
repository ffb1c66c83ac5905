"""Judge every claim of one work. A Snakemake script: see rules/reports.smk."""

import json

from gauntlet.runtime.job import job

with job(snakemake):
    from gauntlet.reporting.making import check_claims, write_claims

    write_claims(check_claims(json.loads(snakemake.params.spec)), snakemake.output.csv, snakemake.output.md)
