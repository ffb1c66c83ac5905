"""The configuration, and the look-ups that the other rule files share."""

import json
from functools import cache

from snakemake.exceptions import WorkflowError

from gauntlet.configuration import load_catalogue, paths
from gauntlet.configuration.specifications import (
    artefact_specification,
    claim_specification,
    evidence,
)
from gauntlet.errors import GauntletError
from gauntlet.planning.availability import find_available
from gauntlet.planning.cost import job_minutes
from gauntlet.runtime.files import compact_json, source_fingerprint

# A working directory may bring its own configuration; otherwise the one beside the Snakefile counts.
CONFIG_FOLDER = (
    Path("config")
    if Path("config/config.yaml").is_file()
    else Path(workflow.basedir) / "config"
)
NOTEBOOKS = Path(workflow.basedir) / "reports" / "notebooks"
OVERRIDES = dict(config)


@cache
def catalogue(scale):
    """Everything that can be made at a scale. A path names its scale, so that a target needs no --config."""
    try:
        return load_catalogue(
            CONFIG_FOLDER, {**OVERRIDES, **({"scale": scale} if scale else {})}
        )
    except GauntletError as error:
        raise WorkflowError(f"\n{error}\n") from None


@cache
def available(scale):
    """What can be had here at a scale."""
    return find_available(catalogue(scale))


config.update(catalogue(None).settings.model_dump())


wildcard_constraints:
    scale="demo|small|full",
    work="[a-z0-9]+",
    dataset="[a-z0-9.-]+",
    split="[a-z]+",
    model="[a-z0-9.-]+",
    evaluation="[a-z0-9.-]+",
    artefact="[a-z0-9.-]+",
    shard=r"\d+",


def split_files(dataset, split):
    folder = paths.split_folder(dataset, split)
    return [folder / name for name in ("images.npy", "labels.npy", "manifest.json")]


def model_files(scale, model):
    folder = paths.model_folder(scale, catalogue(scale).origins[model])
    return [
        folder / name
        for name in ("weights.safetensors", "history.parquet", "manifest.json")
    ]


def cores_for(wildcards):
    """Threads of a job that computes: one at demo, where imports are most of the work and jobs run side by side."""
    return 1 if wildcards.scale == "demo" else 2


def gpus_for(wildcards):
    return 0 if config["device"] == "cpu" or wildcards.scale == "demo" else 1
