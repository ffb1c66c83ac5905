"""Run an evaluation or one shard of it, or join its shards. A Snakemake script: see rules/evaluations.smk."""

import json
from pathlib import Path

from gauntlet.runtime.job import job

with job(snakemake):
    if snakemake.input.get("shards"):
        from gauntlet.evaluation.merging import merge_shards

        merge_shards([Path(table) for table in snakemake.input.shards], Path(snakemake.output.table))
    else:
        from gauntlet.datasets import open_split
        from gauntlet.evaluation.runner import Shard, run_shard
        from gauntlet.models import load_model, weights_file
        from gauntlet.runtime.devices import keep_freed_memory, leased_device, use_reproducible_arithmetic
        from gauntlet.runtime.files import file_sha256

        specification = json.loads(snakemake.params.spec)
        folder = Path(snakemake.input.model[0]).parent
        last = specification.get("weights") == "last"
        use_reproducible_arithmetic(snakemake.threads)
        keep_freed_memory()
        with leased_device(
            snakemake.config["device"], jobs_per_gpu=snakemake.config["jobs_per_gpu"]
        ) as device:
            run_shard(
                specification,
                load_model(folder, device, last=last),
                open_split(Path(snakemake.input.images[0]).parent),
                weights_sha256=file_sha256(weights_file(folder, last=last)),
                shard=Shard(int(snakemake.wildcards.get("shard", 0)), snakemake.params.shards),
                cache=Path(snakemake.params.cache),
                output=Path(snakemake.output.table),
                device=device,
                training_images=(
                    open_split(Path(snakemake.input.training[0]).parent) if snakemake.input.training else None
                ),
            )
