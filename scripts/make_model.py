"""Train a model or import its checkpoint. A Snakemake script: see rules/models.smk."""

import json
from pathlib import Path

from gauntlet.runtime.job import job

with job(snakemake):
    specification = json.loads(snakemake.params.spec)
    folder = Path(snakemake.output.weights).parent
    if specification["checkpoint"]:
        from gauntlet.configuration.paths import ACCEPTED_CHECKPOINTS, DOWNLOADS
        from gauntlet.training.importing import import_checkpoint

        data_root = snakemake.config["data_root"]
        import_checkpoint(specification, folder, data_root, DOWNLOADS, ACCEPTED_CHECKPOINTS)
    else:
        from gauntlet.datasets import open_split
        from gauntlet.runtime.devices import keep_freed_memory, leased_device, use_reproducible_arithmetic
        from gauntlet.runtime.memory import advised_if_out_of_memory
        from gauntlet.training.loop import train

        use_reproducible_arithmetic(snakemake.threads)
        keep_freed_memory()
        with (
            leased_device(
                snakemake.config["device"], jobs_per_gpu=snakemake.config["jobs_per_gpu"]
            ) as device,
            advised_if_out_of_memory("the training's batch_size, which changes the result"),
        ):
            train(
                specification,
                open_split(Path(snakemake.input.train[0]).parent),
                open_split(Path(snakemake.input.test[0]).parent),
                folder,
                device,
                open_split(Path(snakemake.input.second[0]).parent) if snakemake.input.second else None,
            )
