"""Data sets: from archives, folders and downloads to memory-mapped arrays."""


def split_specification(wildcards):
    # A prepared split belongs to no scale.
    return compact_json(
        jobs_at(None).catalogue.split_specification(wildcards.dataset, wildcards.split)
    )


rule prepare_dataset:
    """Prepare one split of one data set, from data_root if it is there, otherwise from its host."""
    output:
        images="results/datasets/{dataset}/{split}/images.npy",
        labels="results/datasets/{dataset}/{split}/labels.npy",
        manifest="results/datasets/{dataset}/{split}/manifest.json",
    log:
        "logs/datasets/{dataset}-{split}.log",
    # First of all: on two cores it would else wait for as long as any job of one core goes on.
    priority: 1
    # Where Snakemake runs: the nodes of a cluster often have no network to download from.
    localrule: True
    threads: 2
    resources:
        mem_mb=8000,
    params:
        spec=split_specification,
    message:
        "Preparing the {wildcards.split} split of {wildcards.dataset}"
    script:
        "../scripts/prepare_dataset.py"
