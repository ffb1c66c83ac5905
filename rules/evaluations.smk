"""Evaluations: procedures run on one model, cut into shards, joined into one table."""


def evaluation_entry(wildcards):
    at_scale = catalogue(wildcards.scale)
    if wildcards.work not in at_scale.works:
        raise WorkflowError(
            f"no work is named {wildcards.work}; there are {', '.join(at_scale.works)}"
        )
    evaluations = at_scale.works[wildcards.work].content.evaluations
    if wildcards.evaluation not in evaluations:
        raise WorkflowError(
            f"{wildcards.work} has no evaluation named {wildcards.evaluation}; gauntlet list names them all"
        )
    return evaluations[wildcards.evaluation]


def evaluation_specification(wildcards):
    evaluation_entry(wildcards)
    return compact_json(
        catalogue(wildcards.scale).evaluation_specification(
            wildcards.work, wildcards.evaluation
        )
    )


def evaluated_model(wildcards):
    return model_files(wildcards.scale, evaluation_entry(wildcards).model)


def evaluated_images(wildcards):
    entry = evaluation_entry(wildcards)
    return split_files(
        catalogue(wildcards.scale).dataset_of(entry), entry.samples.split
    )


def reference_images(wildcards):
    """The training images, for an evaluation that starts from some of them."""
    entry = evaluation_entry(wildcards)
    if not entry.references:
        return []
    return split_files(catalogue(wildcards.scale).dataset_of(entry), "train")


def shards(suffix):
    """The shards that an evaluation is joined from."""

    def files(wildcards):
        folder = paths.evaluation_file(
            wildcards.scale, wildcards.work, wildcards.evaluation
        ).with_suffix("")
        return [
            f"{folder}/{shard}.{suffix}"
            for shard in range(evaluation_entry(wildcards).shards)
        ]

    return files


rule run_evaluation:
    """Run one model's procedures over one shard of its samples. Finished chunks are never computed again."""
    input:
        model=evaluated_model,
        images=evaluated_images,
        training=reference_images,
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
            catalogue(wildcards.scale),
            work=wildcards.work,
            evaluation=wildcards.evaluation,
        ),
    params:
        spec=evaluation_specification,
        shards=lambda wildcards: evaluation_entry(wildcards).shards,
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
