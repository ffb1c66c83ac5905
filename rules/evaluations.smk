"""Evaluations: procedures run on one model, cut into shards, joined into one table."""


def evaluation_of(wildcards):
    return ask(wildcards.scale, "evaluation", wildcards.work, wildcards.evaluation)


def evaluated_model(wildcards):
    return ask(wildcards.scale, "model_files", evaluation_of(wildcards).model)


def shards(suffix):
    """The shards that an evaluation is joined from."""
    return lambda wildcards: paths.shard_files(
        wildcards.scale,
        wildcards.work,
        wildcards.evaluation,
        evaluation_of(wildcards).shards,
        suffix,
    )


rule run_evaluation:
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
    benchmark:
        "benchmarks/{scale}/evaluations/{work}/{evaluation}/{shard}.tsv"
    threads: cores_for
    resources:
        gpu=gpus_for,
        mem_mb=8000,
        runtime=lambda wildcards: job_minutes(
            jobs_at(wildcards.scale).catalogue,
            work=wildcards.work,
            evaluation=wildcards.evaluation,
        ),
    params:
        spec=specification("evaluation_specification", "work", "evaluation"),
        shards=lambda wildcards: evaluation_of(wildcards).shards,
        cache=lambda wildcards: str(
            paths.chunk_cache(wildcards.scale, wildcards.work, wildcards.evaluation)
        ),
    message:
        "Evaluating {wildcards.evaluation} of {wildcards.work} (shard {wildcards.shard})"
    script:
        "../scripts/run_evaluation.py"


rule merge_shards:
    """Join the shards of one evaluation."""
    input:
        tables=shards("parquet"),
        images=shards("npz"),
    output:
        table="results/{scale}/evaluations/{work}/{evaluation}.parquet",
        images="results/{scale}/evaluations/{work}/{evaluation}.npz",
    log:
        "logs/{scale}/evaluations/{work}/{evaluation}.log",
    localrule: True
    message:
        "Joining the shards of {wildcards.evaluation} of {wildcards.work}"
    script:
        "../scripts/merge_shards.py"
