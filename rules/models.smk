"""Models: trained here, or imported from a published checkpoint; a model may be one at one scale and the other at another."""


def model_entry(wildcards):
    models = catalogue(wildcards.scale).models
    if wildcards.model not in models:
        raise WorkflowError(
            f"no work has a model named {wildcards.model}; gauntlet list names them all"
        )
    return models[wildcards.model]


def model_specification(wildcards):
    model_entry(wildcards)
    return compact_json(catalogue(wildcards.scale).model_specification(wildcards.model))


def training_images(split):
    """The images of a split that a training reads; an import reads none."""

    def files(wildcards):
        entry = model_entry(wildcards)
        return split_files(entry.dataset, split) if entry.training else []

    return files


rule make_model:
    """Train one network, or import its checkpoint. An interrupted training goes on after its last finished epoch."""
    input:
        train=training_images("train"),
        test=training_images("test"),
    output:
        weights="results/{scale}/models/{model}/weights.safetensors",
        history="results/{scale}/models/{model}/history.parquet",
        manifest="results/{scale}/models/{model}/manifest.json",
    log:
        "logs/{scale}/models/{model}.log",
    benchmark:
        "benchmarks/{scale}/models/{model}.tsv"
    threads: cores_for
    resources:
        gpu=gpus_for,
        mem_mb=8000,
        runtime=lambda wildcards: job_minutes(
            catalogue(wildcards.scale), model=wildcards.model
        ),
    params:
        spec=model_specification,
    message:
        "Making the model {wildcards.model}"
    script:
        "../scripts/make_model.py"
