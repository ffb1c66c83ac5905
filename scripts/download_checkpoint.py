"""Download the weights of a published network. A Snakemake script: see rules/models.smk."""

import json

from gauntlet.runtime.job import job

with job(snakemake):
    from gauntlet.configuration.paths import ACCEPTED_CHECKPOINTS, DOWNLOADS
    from gauntlet.training.checkpoints import CheckpointSettings, fetch

    settings = CheckpointSettings.model_validate(json.loads(snakemake.params.spec))
    fetch(settings, None, DOWNLOADS, ACCEPTED_CHECKPOINTS)
