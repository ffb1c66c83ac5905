"""Turn one split of a data set into arrays. A Snakemake script: see rules/datasets.smk."""

import json
from pathlib import Path

from gauntlet.runtime.job import job

with job(snakemake):
    from gauntlet.datasets.prepare import prepare_split
    from gauntlet.datasets.settings import DatasetSettings

    specification = json.loads(snakemake.params.spec)
    prepare_split(
        DatasetSettings.model_validate(specification["settings"]),
        specification["dataset"],
        specification["split"],
        Path(snakemake.output.manifest).parent,
        data_root=snakemake.config["data_root"],
        threads=snakemake.threads,
    )
