"""Make one table or figure of a work. A Snakemake script: see rules/artefacts.smk."""

import json
from typing import TYPE_CHECKING, Any

from gauntlet.runtime.job import job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    from gauntlet.reporting.making import make_artefact

    make_artefact(json.loads(snakemake.params.spec), dict(snakemake.output.items()))
