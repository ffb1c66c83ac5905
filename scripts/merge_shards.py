"""Join the shards of an evaluation. A Snakemake script: see rules/evaluations.smk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gauntlet.runtime.job import job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    from gauntlet.evaluation.merging import merge_shards

    merge_shards([Path(table) for table in snakemake.input.tables], Path(snakemake.output.table))
