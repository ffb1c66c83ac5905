"""Models: trained here, or imported from a published checkpoint; a model may be one at one scale and the other at another."""


def training_images(split):
    return lambda wildcards: ask(
        wildcards.scale, "training_images", wildcards.model, split
    )


def model_resources(wildcards):
    return ask(wildcards.scale, "model_resources", wildcards.model)


rule make_model:
    """Train one network, or import its checkpoint. An interrupted training goes on after its last finished epoch."""
    input:
        train=training_images("train"),
        test=training_images("test"),
        changed=files("model_changes", "model"),
        second=files("second_pool", "model"),
    output:
        weights="results/{scale}/models/{model}/weights.safetensors",
        history="results/{scale}/models/{model}/history.parquet",
        manifest="results/{scale}/models/{model}/manifest.json",
    log:
        "logs/{scale}/models/{model}.log",
    threads: cores_for
    resources:
        gpu=lambda wildcards: model_resources(wildcards).gpus,
        mem_mb=8000,
        runtime=lambda wildcards: model_resources(wildcards).minutes,
    params:
        spec=specification("model_specification", "model"),
    message:
        "Making the model {wildcards.model}"
    script:
        "../scripts/make_model.py"
