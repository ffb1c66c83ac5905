"""The jobs of a scale, and the look-ups that the other rule files share."""

from functools import cache

from snakemake.exceptions import WorkflowError

from gauntlet.bundle import unpack_bundle
from gauntlet.configuration import load_catalogue, paths
from gauntlet.configuration.every_scale import check_every_scale
from gauntlet.errors import GauntletError
from gauntlet.planning.stopping import stop_promptly
from gauntlet.planning.workflow import Workflow
from gauntlet.runtime.files import compact_json, source_fingerprint
from gauntlet.runtime.run import begin_run, check_writable

# Not workflow.basedir: where another workflow uses this one as a module, that is the other's folder.
HOME = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent
# A working directory may bring its own configuration; otherwise that of this workflow counts.
CONFIG_FOLDER = Path("config") if Path("config/works").is_dir() else HOME / "config"
NOTEBOOKS = HOME / "reports" / "notebooks"
OVERRIDES = dict(config)


@cache
def jobs_at(scale):
    """The jobs at a scale. A path names its scale, so that a target needs no --config."""
    if scale and scale == jobs_at(None).scale:
        return jobs_at(None)
    overrides = {**OVERRIDES, **({"scale": scale} if scale else {})}
    try:
        return Workflow(load_catalogue(CONFIG_FOLDER, overrides))
    except GauntletError as error:
        raise WorkflowError(f"\n{error}\n") from None


@cache
def ask(scale, question, *names):
    """Ask the jobs of a scale for files or a specification. Snakemake asks again and again, so answers are kept."""
    try:
        return getattr(jobs_at(scale), question)(*names)
    except GauntletError as error:
        raise WorkflowError(f"\n{error}\n") from None


@cache
def ask_json(scale, question, *names):
    return compact_json(ask(scale, question, *names))


def files(question, *wildcard_names):
    """The input function that asks for files by the values of some wildcards."""
    return lambda wildcards: ask(
        wildcards.scale, question, *(wildcards[name] for name in wildcard_names)
    )


def specification(question, *wildcard_names):
    """The params function that asks for a specification by the values of some wildcards."""
    return lambda wildcards: ask_json(
        wildcards.scale, question, *(wildcards[name] for name in wildcard_names)
    )


if workflow.is_main_process:
    stop_promptly()

config.update(jobs_at(None).catalogue.settings.model_dump())

OUTPUT_FOLDERS = Path("results"), Path("reports"), Path("logs")

if workflow.is_main_process:
    try:
        check_every_scale(
            CONFIG_FOLDER, OVERRIDES, Path(".snakemake/gauntlet-checked-configuration")
        )
        # Snakemake looks into them long before it writes.
        for folder in filter(Path.exists, OUTPUT_FOLDERS):
            check_writable(folder)
        # Before any file is looked for: results of a bundle count as made.
        if config["data_root"] and Path(config["data_root"]).is_file():
            unpack_bundle(Path(config["data_root"]), Path())
    except GauntletError as error:
        raise WorkflowError(f"\n{error}\n") from None


wildcard_constraints:
    scale="demo|small|full",
    work="[a-z0-9]+",
    dataset="[a-z0-9.-]+",
    split="[a-z]+",
    model="[a-z0-9.-]+",
    evaluation="[a-z0-9.-]+",
    artefact="[a-z0-9.-]+",
    shard=r"\d+",


def cores_for(wildcards):
    """Threads of a job that computes: one at demo, where imports are most of the work and jobs run side by side."""
    return 1 if wildcards.scale == "demo" else 2


onstart:
    try:
        begin_run(Path(), OUTPUT_FOLDERS)
    except GauntletError as error:
        raise WorkflowError(f"\n{error}\n") from None
