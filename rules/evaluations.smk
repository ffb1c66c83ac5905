"""Evaluations: procedures run on one model, in one job or cut into shards that are joined afterwards."""


def evaluation_of(wildcards):
    return ask(wildcards.scale, "evaluation", wildcards.work, wildcards.evaluation)


def evaluated_model(wildcards):
    return ask(wildcards.scale, "model_files", evaluation_of(wildcards).model)


def shard_count(wildcards):
    return ask(wildcards.scale, "shards", wildcards.work, wildcards.evaluation)


def shard_gpus(wildcards):
    return shard_resources(wildcards).gpus


def shard_minutes(wildcards):
    return shard_resources(wildcards).minutes


def shard_resources(wildcards):
    return ask(
        wildcards.scale, "evaluation_resources", wildcards.work, wildcards.evaluation
    )


def chunk_cache(wildcards):
    return str(paths.chunk_cache(wildcards.scale, wildcards.work, wildcards.evaluation))


def shards(suffix):
    """The shards that an evaluation is joined from; none where one job runs all of it."""
    return lambda wildcards: (
        paths.shard_files(
            wildcards.scale,
            wildcards.work,
            wildcards.evaluation,
            shard_count(wildcards),
            suffix,
        )
        if shard_count(wildcards) > 1
        else []
    )


def unless_sharded(value, otherwise):
    """The function of wildcards that is ``value`` for a job that runs the whole evaluation, not for one that joins."""
    return lambda wildcards: (
        value(wildcards) if shard_count(wildcards) == 1 else otherwise
    )


rule run_shard:
    """Run one model's procedures over one shard of its samples. Finished chunks are never computed again."""
    input:
        model=evaluated_model,
        images=files("evaluated_images", "work", "evaluation"),
        training=files("reference_images", "work", "evaluation"),
    output:
        table=temp("results/{scale}/evaluations/{work}/{evaluation}/{shard}.parquet"),
        images=temp("results/{scale}/evaluations/{work}/{evaluation}/{shard}.npz"),
    log:
        "logs/{scale}/evaluations/{work}/{evaluation}/{shard}.log",
    threads: cores_for
    resources:
        gpu=shard_gpus,
        mem_mb=8000,
        runtime=shard_minutes,
    params:
        spec=specification("evaluation_specification", "work", "evaluation"),
        # A function of input is no reason to run again.
        shards=lambda wildcards, input: shard_count(wildcards),
        cache=chunk_cache,
    message:
        "Evaluating {wildcards.evaluation} of {wildcards.work} (shard {wildcards.shard})"
    script:
        "../scripts/run_evaluation.py"


rule run_evaluation:
    """Run one model's procedures over all of its samples, or join the shards. Finished chunks are never computed again."""
    input:
        model=unless_sharded(evaluated_model, []),
        images=unless_sharded(files("evaluated_images", "work", "evaluation"), []),
        training=unless_sharded(files("reference_images", "work", "evaluation"), []),
        shards=shards("parquet"),
        shard_images=shards("npz"),
        changed=files("evaluation_changes", "work", "evaluation"),
    output:
        table="results/{scale}/evaluations/{work}/{evaluation}.parquet",
        images="results/{scale}/evaluations/{work}/{evaluation}.npz",
    log:
        "logs/{scale}/evaluations/{work}/{evaluation}.log",
    threads: unless_sharded(cores_for, 1)
    resources:
        gpu=unless_sharded(shard_gpus, 0),
        mem_mb=8000,
        runtime=unless_sharded(shard_minutes, 30),
    params:
        spec=specification("evaluation_specification", "work", "evaluation"),
        shards=1,
        cache=chunk_cache,
    message:
        "Evaluating {wildcards.evaluation} of {wildcards.work}"
    script:
        "../scripts/run_evaluation.py"
