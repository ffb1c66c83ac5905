"""The catalogue: every data set, model, evaluation, artefact and claim at one scale, checked against each other."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gauntlet.configuration.expansion import SCALES, at_scale, refuse_placeholders, unfold
from gauntlet.configuration.grammar import (
    ArtefactEntry,
    ClaimEntry,
    EvaluationEntry,
    ModelEntry,
    UserSettings,
    WorkFile,
)
from gauntlet.configuration.reading import read_yaml
from gauntlet.datasets.settings import DatasetSettings
from gauntlet.errors import ConfigurationError, did_you_mean
from gauntlet.runtime.files import compact_json
from gauntlet.values import parse_number

M = TypeVar("M", bound=BaseModel)

SECTIONS = ("models", "evaluations", "artefacts", "claims")


@dataclass(frozen=True)
class Work:
    """One work at the chosen scale."""

    name: str
    file: Path
    content: WorkFile


@dataclass(frozen=True)
class Catalogue:
    """Everything that can be made.

    Attributes:
        folder: the configuration folder.
        settings: the user's knobs.
        datasets: by name.
        works: the works to make, by name.
        models: by name, over all works.
        origins: for every model name the name under which it is trained: of identical specifications, the first.
    """

    folder: Path
    settings: UserSettings
    datasets: Mapping[str, DatasetSettings]
    works: Mapping[str, Work]
    models: Mapping[str, ModelEntry]
    origins: Mapping[str, str] = field(repr=False)

    @property
    def scale(self) -> str:
        """demo, small or full."""
        return self.settings.scale

    # --- look-ups -------------------------------------------------------------------------------------------

    def evaluation(self, work: str, name: str) -> EvaluationEntry:
        """Return an evaluation of a work."""
        return self.works[work].content.evaluations[name]

    def artefact(self, work: str, name: str) -> ArtefactEntry:
        """Return an artefact of a work."""
        return self.works[work].content.artefacts[name]

    def evaluations_of(self, work: str, entry: ArtefactEntry | ClaimEntry) -> list[str]:
        """Return the names of the evaluations that an artefact or claim is made from."""
        return _select(entry.evaluations, self.works[work].content.evaluations)

    def models_of(self, entry: ArtefactEntry | ClaimEntry) -> list[str]:
        """Return the names of the models that an artefact or claim is made from."""
        return _select(entry.models, self.models)

    def dataset_of(self, evaluation: EvaluationEntry) -> str:
        """Return the data set that an evaluation works on."""
        return evaluation.dataset or self.models[evaluation.model].dataset

    # --- specifications: what a job is told, and what decides whether it must run again ----------------------

    def split_specification(self, dataset: str, split: str) -> dict[str, Any]:
        """Return what the preparation of one split depends on."""
        return {"dataset": dataset, "split": split, "settings": self.datasets[dataset].specification(split)}

    def model_specification(self, name: str) -> dict[str, Any]:
        """Return what a network depends on, apart from the images it is trained on."""
        entry = self.models[name]
        dataset = self.datasets[entry.dataset]
        return {
            "model": self.origins[name],
            "dataset": entry.dataset,
            "input_shape": list(dataset.shape),
            "classes": dataset.class_count,
            **entry.model_dump(mode="json", exclude={"dataset", "replicate"}),
            "seed": self.settings.seed + entry.replicate,
        }

    def evaluation_specification(self, work: str, name: str) -> dict[str, Any]:
        """Return what an evaluation depends on, apart from the network's weights and the images."""
        entry = self.evaluation(work, name)
        return {
            "work": work,
            "evaluation": name,
            "scale": self.scale,
            "model": self.origins[entry.model],
            "dataset": self.dataset_of(entry),
            "samples": entry.samples.model_dump(mode="json"),
            "chunk": entry.chunk,
            "keep_images": entry.keep_images,
            "references": entry.references,
            "procedures": entry.procedures,
            "seed": self.settings.seed,
        }


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
    settings = _validate(UserSettings, values, settings_file, "")
    if settings.data_root is not None and not Path(settings.data_root).is_dir():
        raise ConfigurationError(
            "the data folder does not exist",
            file=settings_file,
            key="data_root",
            found=settings.data_root,
            valid="an existing folder, or nothing to download instead",
        )
    datasets_file = folder / "datasets.yaml"
    datasets = {
        name: _validate(DatasetSettings, entry, datasets_file, name)
        for name, entry in read_yaml(datasets_file).items()
    }
    files = {file.stem: file for file in sorted((folder / "works").glob("*.yaml"))}
    for name in settings.works or []:
        if name not in files:
            raise ConfigurationError(
                "unknown work", file=settings_file, key="works", found=name, valid=did_you_mean(name, files)
            )
    works = {
        name: Work(name, file, _read_work(file, settings.scale))
        for name, file in files.items()
        if settings.works is None or name in settings.works
    }
    models = _gather_models(works.values(), datasets)
    catalogue = Catalogue(folder, settings, datasets, works, models, {})
    catalogue = Catalogue(folder, settings, datasets, works, models, _origins(catalogue))
    for work in works.values():
        _check_references(catalogue, work)
    return catalogue


def _read_work(file: Path, scale: str) -> WorkFile:
    try:
        content = at_scale(
            {key: value for key, value in read_yaml(file).items() if key != "definitions"}, scale
        )
        for section in SECTIONS:
            content[section] = unfold(content.get(section), section)
        for name, evaluation in content["evaluations"].items():
            evaluation["procedures"] = unfold(evaluation.get("procedures"), f"evaluations.{name}.procedures")
        for section in ("models", "evaluations"):
            refuse_placeholders(content[section], section, ["a variable of its foreach"])
    except ConfigurationError as error:
        if error.file is None:
            raise ConfigurationError(
                error.problem, file=file, key=error.key, found=error.found, valid=error.valid
            ) from None
        raise
    return _validate(WorkFile, _numbers(content), file, "")


def _numbers(value: Any) -> Any:
    """Turn every fraction in a value into its number."""
    if isinstance(value, Mapping):
        return {name: _numbers(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_numbers(entry) for entry in value]
    return parse_number(value)


def _gather_models(works: Iterable[Work], datasets: Mapping[str, DatasetSettings]) -> dict[str, ModelEntry]:
    models: dict[str, ModelEntry] = {}
    for work in works:
        for name, entry in work.content.models.items():
            if name in models and models[name] != entry:
                raise ConfigurationError(
                    "duplicate name: another work describes a different model under it",
                    file=work.file,
                    key=f"models.{name}",
                    valid="a name that no other work uses",
                )
            if entry.dataset not in datasets:
                raise ConfigurationError(
                    "unknown data set",
                    file=work.file,
                    key=f"models.{name}.dataset",
                    found=entry.dataset,
                    valid=did_you_mean(entry.dataset, datasets),
                )
            if entry.training is not None and "train" not in datasets[entry.dataset].splits:
                raise ConfigurationError(
                    "the data set has no training split",
                    file=work.file,
                    key=f"models.{name}.dataset",
                    found=entry.dataset,
                    valid="a checkpoint instead of a training, or another data set",
                )
            models[name] = entry
    return models


def _origins(catalogue: Catalogue) -> dict[str, str]:
    """Map every model to the first one that has the same specification."""
    first: dict[str, str] = {}
    origins = {}
    for name, entry in catalogue.models.items():
        origins[name] = first.setdefault(compact_json(entry.model_dump(mode="json")), name)
    return origins


def _check_references(catalogue: Catalogue, work: Work) -> None:
    content = work.content
    for name, evaluation in content.evaluations.items():
        key = f"evaluations.{name}"
        if evaluation.model not in catalogue.models:
            raise ConfigurationError(
                "unknown model",
                file=work.file,
                key=f"{key}.model",
                found=evaluation.model,
                valid=did_you_mean(evaluation.model, catalogue.models),
            )
        _check_split(
            catalogue,
            work,
            f"{key}.samples.split",
            catalogue.dataset_of(evaluation),
            evaluation.samples.split,
        )
        if evaluation.references:
            _check_split(catalogue, work, f"{key}.references", catalogue.dataset_of(evaluation), "train")
        if not evaluation.procedures:
            raise ConfigurationError(
                "an evaluation needs a procedure", file=work.file, key=f"{key}.procedures"
            )
    for name in content.artefacts:
        if not name.startswith(("table-", "figure-")):
            raise ConfigurationError(
                "an artefact's name says its kind",
                file=work.file,
                key=f"artefacts.{name}",
                valid="a name that starts with table- or figure-",
            )
    entries: list[tuple[str, ArtefactEntry | ClaimEntry, str]] = [
        *(
            (f"artefacts.{name}", artefact, _qualified(artefact.make, "artefacts"))
            for name, artefact in content.artefacts.items()
        ),
        *(
            (f"claims.{name}", claim, _qualified(claim.check or name.replace("-", "_"), "claims"))
            for name, claim in content.claims.items()
        ),
    ]
    for key, entry, function in entries:
        _check_patterns(work, f"{key}.evaluations", entry.evaluations, content.evaluations, "evaluation")
        _check_patterns(work, f"{key}.models", entry.models, catalogue.models, "model")
        for split in entry.datasets:
            dataset, _, part = split.partition("/")
            _check_split(catalogue, work, f"{key}.datasets", dataset, part)
        for published in entry.published:
            if not (catalogue.folder / "published" / work.name / published).is_file():
                raise ConfigurationError(
                    "no such file of published numbers",
                    file=work.file,
                    key=f"{key}.published",
                    found=published,
                    valid=f"a file in {catalogue.folder / 'published' / work.name}",
                )
        module, _, name = function.rpartition(".")
        known = _functions_of(work.name, module)
        if name not in known:
            raise ConfigurationError(
                f"no such function in gauntlet.works.{work.name}.{module}",
                file=work.file,
                key=key,
                found=name,
                valid=did_you_mean(name, known),
            )


def _check_split(catalogue: Catalogue, work: Work, key: str, dataset: str, split: str) -> None:
    if dataset not in catalogue.datasets:
        raise ConfigurationError(
            "unknown data set",
            file=work.file,
            key=key,
            found=dataset,
            valid=did_you_mean(dataset, catalogue.datasets),
        )
    if split not in catalogue.datasets[dataset].splits:
        raise ConfigurationError(
            f"the data set {dataset} has no such split",
            file=work.file,
            key=key,
            found=split or "(none)",
            valid=f"one of {', '.join(catalogue.datasets[dataset].splits)}",
        )


def _check_patterns(work: Work, key: str, patterns: list[str], known: Iterable[str], kind: str) -> None:
    names = list(known)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ConfigurationError(
                f"no such {kind}", file=work.file, key=key, found=pattern, valid=did_you_mean(pattern, names)
            )


def _select(patterns: list[str], known: Iterable[str]) -> list[str]:
    return [name for name in known if any(fnmatchcase(name, pattern) for pattern in patterns)]


def _qualified(function: str, module: str) -> str:
    return function if "." in function else f"{module}.{function}"


@cache
def _functions_of(work: str, module: str) -> frozenset[str]:
    """Names of the functions that a work's module defines.

    They are read from its source: to import it would draw in plotting, which costs seconds.
    """
    source = resources.files("gauntlet.works").joinpath(work, f"{module}.py")
    if not source.is_file():
        return frozenset()
    tree = ast.parse(source.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def _validate(model: type[M], value: Any, file: Path, prefix: str) -> M:
    """Validate a value and turn the first pydantic error into one message."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        parts = [str(part) for part in first["loc"]]
        cause = first.get("ctx", {}).get("error")
        key = ".".join(filter(None, [prefix, *parts]))
        if isinstance(cause, ConfigurationError):
            key = f"{key}.{cause.key}" if cause.key else key
            raise ConfigurationError(
                cause.problem, file=file, key=key, found=cause.found, valid=cause.valid
            ) from None
        if first["type"] == "extra_forbidden":
            raise ConfigurationError(
                "unknown key",
                file=file,
                key=key,
                found=parts[-1],
                valid=did_you_mean(parts[-1], _keys_at(model, parts[:-1])),
            ) from None
        if first["type"] == "missing":
            raise ConfigurationError("a value is missing", file=file, key=key) from None
        if parts == ["scale"]:
            raise ConfigurationError(
                "unknown scale", file=file, key=key, found=first["input"], valid=f"one of {', '.join(SCALES)}"
            ) from None
        raise ConfigurationError(
            "the value cannot be used",
            file=file,
            key=key,
            found=repr(first["input"])[:200],
            valid=first["msg"],
        ) from None


def _keys_at(model: type[BaseModel], path: list[str]) -> list[str]:
    """Return the keys that a model accepts at a path inside it, as far as plain models lead."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})

    def resolve(node: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" in node:
            return resolve(definitions[node["$ref"].rsplit("/", 1)[1]])
        for choice in node.get("anyOf", []):
            if choice.get("type") != "null":
                return resolve(choice)
        return node

    node: Mapping[str, Any] = schema
    for part in path:
        node = resolve(node)
        node = node.get("properties", {}).get(part) or node.get("additionalProperties") or {}
        if not isinstance(node, Mapping):
            return []
    return list(resolve(node).get("properties", {}))
