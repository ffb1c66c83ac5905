"""Turn one split of a data set into arrays. A Snakemake script: see rules/datasets.smk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gauntlet.runtime.job import job

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake):
    import json
    from pathlib import Path

    from gauntlet.datasets.prepare import prepare_split
    from gauntlet.datasets.settings import DatasetSettings

    specification = json.loads(snakemake.params.spec)
    prepare_split(
        DatasetSettings.model_validate(specification["settings"]),
        specification["dataset"],
        specification["split"],
        Path(snakemake.output.manifest).parent,
        data_root=snakemake.params.data_root,
        threads=snakemake.threads,
    )
