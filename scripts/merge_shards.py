"""Join the shards of an evaluation. A Snakemake script: see rules/evaluations.smk."""

from pathlib import Path

from gauntlet.runtime.job import job

with job(snakemake):
    from gauntlet.evaluation.merging import merge_shards

    merge_shards([Path(table) for table in snakemake.input.tables], Path(snakemake.output.table))
