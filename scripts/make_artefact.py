"""Make one table or figure of a work. A Snakemake script: see rules/artefacts.smk."""

import json

from gauntlet.runtime.job import job

with job(snakemake):
    from gauntlet.reporting.making import make_artefact

    make_artefact(json.loads(snakemake.params.spec), dict(snakemake.output.items()))
