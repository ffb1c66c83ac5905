"""Read the configuration folder into a checked catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gauntlet.configuration.catalogue import Catalogue, Work
from gauntlet.configuration.expansion import at_scale, insert_presets, refuse_placeholders, unfold
from gauntlet.configuration.grammar import ChapterFile, ModelEntry, UserSettings, WorkFile
from gauntlet.configuration.reading import read_yaml
from gauntlet.configuration.references import check_references
from gauntlet.configuration.validation import validate
from gauntlet.datasets.settings import DatasetSettings
from gauntlet.errors import ConfigurationError, did_you_mean
from gauntlet.runtime.files import compact_json
from gauntlet.setting_types import parse_number

ABOUT = "work.yaml"
"""The file of a work that says what the work is; every other file of its folder is a chapter."""


def load_catalogue(folder: str | Path, overrides: Mapping[str, Any] | None = None) -> Catalogue:
    """Read and check the whole configuration.

    Args:
        folder: the configuration folder.
        overrides: values that go before those of ``config.yaml``, such as Snakemake's ``--config``.

    Raises:
        ConfigurationError: naming file, key, what was found and what is valid.
    """
    folder = Path(folder)
    settings_file = folder / "config.yaml"
    values = {**read_yaml(settings_file), **(overrides or {})}
    settings = validate(UserSettings, values, settings_file, "")
    if settings.data_root is not None and not _holds_data(Path(settings.data_root)):
        raise ConfigurationError(
            "the data folder does not exist",
            file=settings_file,
            key="data_root",
            found=settings.data_root,
            valid="an existing folder, a bundle of results (.zip), or nothing to download instead",
        )
    datasets_file = folder / "datasets.yaml"
    datasets = {
        name: validate(DatasetSettings, entry, datasets_file, name)
        for name, entry in read_yaml(datasets_file).items()
    }
    folders = {file.parent.name: file.parent for file in sorted((folder / "works").glob(f"*/{ABOUT}"))}
    for name in settings.works or []:
        if name not in folders:
            raise ConfigurationError(
                "unknown work",
                file=settings_file,
                key="works",
                found=name,
                valid=did_you_mean(name, folders),
            )
    presets = _read_presets(folder / "presets", settings.scale)
    works = {
        name: _read_work(name, place, settings.scale, presets)
        for name, place in folders.items()
        if settings.works is None or name in settings.works
    }
    models = _gather_models(works.values(), datasets)
    catalogue = Catalogue(folder, settings, datasets, works, models, {})
    catalogue = Catalogue(folder, settings, datasets, works, models, _origins(catalogue))
    for work in works.values():
        check_references(catalogue, work)
    return catalogue


def _holds_data(root: Path) -> bool:
    return root.is_dir() or (root.is_file() and root.suffix == ".zip")


def _read_presets(folder: Path, scale: str) -> dict[str, Any]:
    """Return the presets of all files in a folder at a scale, by name."""
    presets: dict[str, Any] = {}
    for file in sorted(folder.glob("*.yaml")):
        for name, value in at_scale(read_yaml(file), scale).items():
            if name in presets:
                raise ConfigurationError(
                    "duplicate name: another file has a preset of that name", file=file, key=name
                )
            presets[name] = value
    return presets


def _read_work(name: str, folder: Path, scale: str, presets: Mapping[str, Any]) -> Work:
    about = validate(WorkFile, read_yaml(folder / ABOUT), folder / ABOUT, "")
    chapters: dict[str, ChapterFile] = {}
    for file in sorted(folder.glob("*.yaml")):
        if file.name == ABOUT:
            continue
        chapter = _read_chapter(file, scale, presets)
        for section in ChapterFile.model_fields:
            for entry in getattr(chapter, section):
                if any(entry in getattr(other, section) for other in chapters.values()):
                    raise ConfigurationError(
                        "duplicate name: another chapter has an entry of that name",
                        file=file,
                        key=f"{section}.{entry}",
                    )
        chapters[file.stem] = chapter
    return Work(name, folder, about, chapters)


def _read_chapter(file: Path, scale: str, presets: Mapping[str, Any]) -> ChapterFile:
    """Read a chapter: choose the scale, insert presets, unfold ``foreach``, turn fractions into numbers, validate."""
    try:
        # Definitions are a place for YAML anchors: what is in them counts where it is used.
        written = {key: value for key, value in read_yaml(file).items() if key != "definitions"}
        content = insert_presets(at_scale(written, scale), presets)
        for section in ChapterFile.model_fields:
            content[section] = unfold(content.get(section), section)
        for name, evaluation in content["evaluations"].items():
            procedures = unfold(evaluation.get("procedures"), f"evaluations.{name}.procedures")
            evaluation["procedure_labels"] = {each: entry.pop("labels") for each, entry in procedures.items()}
            evaluation["procedures"] = procedures
        for section in ("artefacts", "claims"):
            for entry in content[section].values():
                entry.pop("labels")
        for section in ("models", "evaluations"):
            refuse_placeholders(content[section], section, ["a variable of its foreach"])
    except ConfigurationError as error:
        if error.file is None:
            raise ConfigurationError(
                error.problem, file=file, key=error.key, found=error.found, valid=error.valid
            ) from None
        raise
    return validate(ChapterFile, _numbers(content), file, "")


def _numbers(value: Any) -> Any:
    """Turn every fraction in a value into its number."""
    if isinstance(value, dict):
        return {name: _numbers(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_numbers(entry) for entry in value]
    return parse_number(value)


def _gather_models(works: Iterable[Work], datasets: Mapping[str, DatasetSettings]) -> dict[str, ModelEntry]:
    models: dict[str, ModelEntry] = {}
    for work in works:
        for name, entry in work.content.models.items():
            file = work.file_of(work.chapter_of("models", name))
            if name in models and models[name] != entry:
                raise ConfigurationError(
                    "duplicate name: another work describes a different model under it",
                    file=file,
                    key=f"models.{name}",
                    valid="a name that no other work uses",
                )
            if entry.dataset not in datasets:
                raise ConfigurationError(
                    "unknown data set",
                    file=file,
                    key=f"models.{name}.dataset",
                    found=entry.dataset,
                    valid=did_you_mean(entry.dataset, datasets),
                )
            if entry.training is not None and "train" not in datasets[entry.dataset].splits:
                raise ConfigurationError(
                    "the data set has no training split",
                    file=file,
                    key=f"models.{name}.dataset",
                    found=entry.dataset,
                    valid="a checkpoint instead of a training, or another data set",
                )
            if entry.second_pool is not None:
                _check_second_pool(
                    entry, entry.second_pool, datasets, file, f"models.{name}.training.second_pool"
                )
            models[name] = entry
    return models


def _check_second_pool(
    entry: ModelEntry, pool: str, datasets: Mapping[str, DatasetSettings], file: Path, key: str
) -> None:
    """Refuse a second pool that is not there, or is of other images than the model's own."""
    own = datasets[entry.dataset]
    alike = [
        name
        for name, dataset in datasets.items()
        if "train" in dataset.splits and (dataset.shape, dataset.class_count) == (own.shape, own.class_count)
    ]
    if pool not in alike:
        raise ConfigurationError(
            f"no data set of that name has training images of the shape and classes of {entry.dataset}",
            file=file,
            key=f"{key}.dataset",
            found=pool,
            valid=did_you_mean(pool, alike),
        )


def _origins(catalogue: Catalogue) -> dict[str, str]:
    """Map every model to the first one that has the same specification."""
    first: dict[str, str] = {}
    origins = {}
    for name, entry in catalogue.models.items():
        origins[name] = first.setdefault(
            compact_json(entry.model_dump(mode="json", exclude={"labels"})), name
        )
    return origins
