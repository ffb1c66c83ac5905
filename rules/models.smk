"""Models: trained here, or imported from a published checkpoint; a model may be one at one scale and the other at another."""


def training_images(split):
    return lambda wildcards: ask(
        wildcards.scale, "training_images", wildcards.model, split
    )


def model_resources(wildcards):
    return ask(wildcards.scale, "model_resources", wildcards.model)


def download_specification(wildcards):
    # A downloaded file belongs to no scale.
    for scale in (None, "demo", "small", "full"):
        if found := ask(scale, "download_specification", wildcards.file):
            return compact_json(found)
    raise WorkflowError(f"no model has published weights {wildcards.file} with a url")


rule download_checkpoint:
    """Download the weights of a published network, where Snakemake runs: the nodes of a cluster often have no network."""
    output:
        "results/downloads/checkpoints/{file}",
    log:
        "logs/downloads/{file}.log",
    wildcard_constraints:
        file=".+",
    localrule: True
    params:
        spec=download_specification,
    message:
        "Downloading {wildcards.file}"
    script:
        "../scripts/download_checkpoint.py"


rule make_model:
    """Train one network, or import its checkpoint. An interrupted training goes on after its last finished epoch."""
    input:
        train=training_images("train"),
        test=training_images("test"),
        checkpoint=files("downloaded_weights", "model"),
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
