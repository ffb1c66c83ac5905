"""Check that everything that a work's chapters refer to is there."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from gauntlet.configuration.catalogue import Catalogue, Work
from gauntlet.configuration.grammar import ChapterFile, ClaimEntry, Evidence
from gauntlet.configuration.paths import is_figure
from gauntlet.errors import ConfigurationError, did_you_mean
from gauntlet.setting_types import ORDER

RESERVED_LABELS = frozenset({"evaluation", "procedure", "index", "label", "target", "correct"})
"""Columns of every table of results, which no label may hide."""


def check_references(catalogue: Catalogue, work: Work) -> None:
    """Check the references of a work: models, data sets, evaluations, published numbers, functions, labels.

    Raises:
        ConfigurationError: something is not there; the message names file and key.
    """
    for chapter, content in work.chapters.items():
        file = work.file_of(chapter)
        for name, model in content.models.items():
            _check_radii(
                model.defence, catalogue.datasets[model.dataset].shape, file, f"models.{name}.defence"
            )
        for name in content.evaluations:
            _check_evaluation(catalogue, work, name, file)
            _check_labels_of(catalogue, work, name, file)
        for name in content.artefacts:
            if not name.startswith(("table-", "figure-")):
                raise ConfigurationError(
                    "an artefact's name says its kind",
                    file=file,
                    key=f"artefacts.{name}",
                    valid="a name that starts with table- or figure-",
                )
        for key, entry, function in _made(content):
            _check_evidence(catalogue, work, key, entry, file)
            if isinstance(entry, ClaimEntry) and entry.untestable:
                continue
            module, _, name = function.rpartition(".")
            known = _functions_of(work.name, chapter, module)
            if name in known:
                _check_settings(work.name, chapter, f"{key}.settings", entry.settings, known[name], file)
            else:
                raise ConfigurationError(
                    f"no such function in gauntlet.works.{work.name}.{chapter}.{module}",
                    file=file,
                    key=key,
                    found=name,
                    valid=did_you_mean(name, known),
                )


def artefact_function(name: str, make: str) -> str:
    """Return the function that makes an artefact as ``module.function``; by default of ``tables`` or ``figures``."""
    return make if "." in make else f"{'figures' if is_figure(name) else 'tables'}.{make}"


def claim_function(name: str, check: str | None) -> str:
    """Return the function that checks a claim as ``module.function``; by default that of its name in ``claims``."""
    function = check or name.replace("-", "_")
    return function if "." in function else f"claims.{function}"


def _made(content: ChapterFile) -> list[tuple[str, Evidence, str]]:
    """Return key, entry and function of every artefact and claim of a chapter."""
    artefacts = [
        (f"artefacts.{name}", entry, artefact_function(name, entry.make))
        for name, entry in content.artefacts.items()
    ]
    claims = [
        (f"claims.{name}", entry, claim_function(name, entry.check)) for name, entry in content.claims.items()
    ]
    return [*artefacts, *claims]


def _check_evaluation(catalogue: Catalogue, work: Work, name: str, file: Path) -> None:
    evaluation, key = catalogue.evaluation(work.name, name), f"evaluations.{name}"
    if evaluation.model not in catalogue.models:
        raise ConfigurationError(
            "unknown model",
            file=file,
            key=f"{key}.model",
            found=evaluation.model,
            valid=did_you_mean(evaluation.model, catalogue.models),
        )
    dataset = catalogue.dataset_of(evaluation)
    _check_split(catalogue, file, f"{key}.samples.split", dataset, evaluation.samples.split)
    if evaluation.references:
        _check_split(catalogue, file, f"{key}.references", dataset, "train")
    if not evaluation.procedures:
        raise ConfigurationError("an evaluation needs a procedure", file=file, key=f"{key}.procedures")
    _check_radii(evaluation.procedures, catalogue.datasets[dataset].shape, file, f"{key}.procedures")


def _check_radii(value: Mapping[str, Any], shape: tuple[int, int, int], file: Path, key: str) -> None:
    """Refuse a radius that is longer than the way from a black to a white image, as one in 0 to 255 would be."""
    norm, radius = value.get("norm"), value.get("eps")
    if norm in ORDER and isinstance(radius, (int, float)):
        size, order = math.prod(shape), ORDER[norm]
        most = float(size) if order == 0 else size ** (1 / order)
        if radius > most:
            raise ConfigurationError(
                f"a radius in pixel scale ([0, 1]) is never that large in {norm}",
                file=file,
                key=f"{key}.eps",
                found=radius,
                valid=f"{most:.6g} at most; pixels of 0 to 255 are written as 8/255",
            )
    for name, entry in value.items():
        if isinstance(entry, dict):
            _check_radii(entry, shape, file, f"{key}.{name}")


def _check_labels_of(catalogue: Catalogue, work: Work, name: str, file: Path) -> None:
    of_evaluation = catalogue.evaluation_labels(work.name, name)
    for procedure, labels in catalogue.procedure_labels(work.name, name).items():
        _check_labels(of_evaluation, labels, file, f"evaluations.{name}.procedures.{procedure}")


def _check_labels(
    of_evaluation: Mapping[str, Any], of_procedure: Mapping[str, Any], file: Path, key: str
) -> None:
    """Refuse a label that means two things in one row of results."""
    for name, value in of_procedure.items():
        if name in of_evaluation and of_evaluation[name] != value:
            raise ConfigurationError(
                f"the label {name} has one value in the model or evaluation and another in the procedure",
                file=file,
                key=key,
                found=f"{of_evaluation[name]} and {value}",
                valid="another name for one of the two variables of foreach",
            )
    for name in RESERVED_LABELS & (of_evaluation.keys() | of_procedure.keys()):
        raise ConfigurationError(
            "a label has the name of a column of results",
            file=file,
            key=key,
            found=name,
            valid=f"not {', '.join(sorted(RESERVED_LABELS))}",
        )


def _check_evidence(catalogue: Catalogue, work: Work, key: str, entry: Evidence, file: Path) -> None:
    _check_patterns(file, f"{key}.evaluations", entry.evaluations, work.content.evaluations, "evaluation")
    _check_patterns(file, f"{key}.models", entry.models, catalogue.models, "model")
    for split in entry.datasets:
        dataset, _, part = split.partition("/")
        _check_split(catalogue, file, f"{key}.datasets", dataset, part)
    folder = catalogue.folder / "published" / work.name
    for published in entry.published:
        if not (folder / published).is_file():
            raise ConfigurationError(
                "no such file of published numbers",
                file=file,
                key=f"{key}.published",
                found=published,
                valid=f"a file in {folder}",
            )


def _check_split(catalogue: Catalogue, file: Path, key: str, dataset: str, split: str) -> None:
    if dataset not in catalogue.datasets:
        raise ConfigurationError(
            "unknown data set",
            file=file,
            key=key,
            found=dataset,
            valid=did_you_mean(dataset, catalogue.datasets),
        )
    if split not in catalogue.datasets[dataset].splits:
        raise ConfigurationError(
            f"the data set {dataset} has no such split",
            file=file,
            key=key,
            found=split or "(none)",
            valid=did_you_mean(split, catalogue.datasets[dataset].splits),
        )


def _check_patterns(file: Path, key: str, patterns: list[str], known: Iterable[str], kind: str) -> None:
    names = list(known)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ConfigurationError(
                f"no such {kind}", file=file, key=key, found=pattern, valid=did_you_mean(pattern, names)
            )


def _check_settings(
    work: str, chapter: str, key: str, settings: Mapping[str, Any], needed: frozenset[str], file: Path
) -> None:
    """Check the settings of an artefact or a claim against the code that reads them, before any job."""
    known = _words_of(work)
    for name in settings:
        if name not in known:
            raise ConfigurationError(
                f"unknown setting: nothing in gauntlet.works.{work} reads it",
                file=file,
                key=key,
                found=name,
                valid=did_you_mean(name, needed),
            )
    for name in sorted(needed - settings.keys()):
        raise ConfigurationError("a setting is missing", file=file, key=f"{key}.{name}")
    for path, number in _numbers_in(settings, key):
        if not math.isfinite(number):
            raise ConfigurationError(
                "the value cannot be used", file=file, key=path, found=number, valid="a finite number"
            )


def _numbers_in(value: Any, key: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, (int, float)):
        yield key, value
    elif isinstance(value, str) and _NUMERAL.fullmatch(value):
        yield key, float(value)
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            yield from _numbers_in(entry, f"{key}.{name}")
    elif isinstance(value, list):
        for place, entry in enumerate(value):
            yield from _numbers_in(entry, f"{key}[{place}]")


_NUMERAL = re.compile(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?")
"""Such as 1e-3, which YAML takes for text."""


@cache
def _words_of(work: str) -> frozenset[str]:
    """Return the words in quotes, or in braces inside a docstring, of a work's code: names of settings among them."""
    folder = resources.files("gauntlet.works").joinpath(work)
    words: set[str] = set()
    for file in Path(str(folder)).rglob("*.py"):
        words |= set(re.findall(r"""["'{](\w+)["'}]""", file.read_text(encoding="utf-8")))
    return frozenset(words)


@cache
def _functions_of(work: str, chapter: str, module: str) -> dict[str, frozenset[str]]:
    """Return the functions that a module of a chapter defines, with the settings that each always reads.

    They are read from its source: to import it would draw in plotting, which costs seconds.
    """
    source = resources.files("gauntlet.works").joinpath(work, chapter, f"{module}.py")
    if not source.is_file():
        return {}
    tree = ast.parse(source.read_text(encoding="utf-8"))
    return {node.name: _settings_in(node) for node in tree.body if isinstance(node, ast.FunctionDef)}


def _settings_in(function: ast.FunctionDef) -> frozenset[str]:
    """Return the names that a function reads as ``inputs.settings["name"]``, or shows as ``{name}``."""
    read = {
        node.slice.value
        for node in ast.walk(function)
        if isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
        and ast.unparse(node.value) == "inputs.settings"
    }
    return frozenset(read | set(re.findall(r"\{(\w+)\}", ast.get_docstring(function) or "")))
