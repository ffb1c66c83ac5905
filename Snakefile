"""Gauntlet: every table and figure of five works on adversarial robustness, beside the published numbers."""

from snakemake.utils import min_version

min_version("9.0")


# For --sdm apptainer; without it, the environment in which Snakemake itself runs. envs/gauntlet.def builds it.
container: "gauntlet.sif"


include: "rules/common.smk"
include: "rules/datasets.smk"
include: "rules/models.smk"
include: "rules/evaluations.smk"
include: "rules/artefacts.smk"
include: "rules/reports.smk"


rule all:
    """Everything that can be made at the configured scale."""
    default_target: True
    input:
        ask(config["scale"], "everything_makeable"),


rule everything:
    """Every artefact and verdict, also where something seems to be missing here; a cluster's nodes may have it."""
    input:
        ask(config["scale"], "everything"),
