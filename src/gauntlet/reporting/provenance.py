"""Provenance of an artefact's numbers, in one object that every written file states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.reporting.numerals import duration
from gauntlet.runtime.checksums import read_sealed_json
from gauntlet.runtime.manifest import code_version

_FEW_MODELS = 2

_DATASETS = {"MNIST": "mnist", "CIFAR-10": "cifar10", "ImageNet": "imagenet", "GTS": "gts"}
"""Start of the names of each data set's variants, by the name that works give it."""

_LEARNED = 0.1
"""Share of the way from guessing to no mistake below which a network has learned next to nothing."""


@dataclass(frozen=True)
class Provenance:
    """Origin of an artefact's numbers.

    Attributes:
        work: the work's name.
        artefact: the artefact's name.
        title: the artefact's title.
        scale: demo, small or full.
        datasets: names of the data sets, as ``<dataset>/<split>``.
        models: names of the networks.
        samples: number of samples (rows of a procedure) by evaluation.
        seeds: seeds of evaluations and trainings; a replicated training adds its number to the global seed.
        devices: names of the devices that computed.
        codes: versions of the code that made the inputs and the artefact.
        libraries: versions by library; several are joined with a comma.
        inputs: computing seconds of each evaluation and model; the name is prefixed with its kind.
        specifications: the resolved specification by input.
        weights: for each network whether its weights are published, trained here, or trained here in place of
            published ones.
        warnings: what is unusual about the data sets, such as missing images.
        entry: the file of the configuration that describes the artefact.
        function: the function that made it, by its import path.
        published: the files of published numbers beside it.
        own: names of the work's own methods, as its tables write them.
    """

    work: str
    artefact: str
    title: str
    scale: str
    datasets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    samples: dict[str, int] = field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    devices: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    libraries: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, float] = field(default_factory=dict)
    specifications: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    entry: str = ""
    function: str = ""
    published: tuple[str, ...] = ()
    own: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Computing time of all inputs, trainings included."""
        return sum(self.inputs.values())

    def sample_text(self) -> str:
        """State the sample count: ``500 samples``, or the range where evaluations differ."""
        counts = sorted(set(self.samples.values()))
        if not counts:
            return ""
        if len(counts) == 1:
            return f"{counts[0]:,} sample{'s' if counts[0] != 1 else ''}"
        return f"{counts[0]:,} to {counts[-1]:,} samples per evaluation"

    def model_text(self) -> str:
        """Name the networks if they are few, else count them."""
        return _named(self.models)

    def weights_text(self) -> str:
        """State where the weights come from; which network has which where they differ."""
        by_origin: dict[str, list[str]] = {}
        for model, origin in self.weights.items():
            by_origin.setdefault(origin, []).append(model)
        if len(by_origin) == 1:
            return next(iter(by_origin))
        return "; ".join(f"{_named(models)}: {origin}" for origin, models in by_origin.items())

    def statement(self) -> str:
        """State scale, data, models and sample count in one line."""
        if not (self.datasets or self.models):
            return f"scale {self.scale} · from formulas alone, no data"
        parts = [f"scale {self.scale}", ", ".join(self.datasets), self.model_text()]
        parts += [self.weights_text(), self.sample_text()]
        return " · ".join(part for part in parts if part)

    def origin(self) -> str:
        """State seed, devices, computing time and code in one line."""
        parts = [
            f"seed {', '.join(map(str, self.seeds))}" if self.seeds else "",
            ", ".join(self.devices),
            f"{duration(self.seconds)} of computing" if self.seconds else "",
            f"gauntlet {', '.join(self.codes)}" if self.codes else "",
        ]
        return " · ".join(part for part in parts if part)

    def stand_ins(self) -> str:
        """State which data ran in place of those that the title names, or nothing where they are the same."""
        ran = {split.split("/")[0] for split in self.datasets}
        absent = [
            shown
            for shown, names in _DATASETS.items()
            if shown in self.title and not any(name.startswith(names) for name in ran)
        ]
        return f"In place of {' and '.join(absent)}: {', '.join(self.datasets)}." if absent and ran else ""

    def to_json(self) -> dict[str, Any]:
        """Return the fields and both statements as plain JSON values."""
        return {
            **asdict(self),
            "seconds": round(self.seconds, 3),
            "statement": self.statement(),
            "origin": self.origin(),
        }


def provenance_of(inputs: ArtefactInputs) -> Provenance:
    """Collect the provenance of an artefact from the manifests of its evaluations and models."""
    manifests: dict[str, dict[str, Any]] = {}
    datasets, samples = set(inputs.datasets), {}
    models = {model.name for model in inputs.models}
    weights: dict[str, str] = {}
    warnings: list[str] = []
    for name, evaluation in inputs.evaluations.items():
        manifests[f"evaluation {name}"] = evaluation.manifest
        specification = evaluation.specification
        split = f"{specification['dataset']}/{specification['samples']['split']}"
        datasets.add(split)
        warnings += [f"{split}: {each}" for each in evaluation.manifest.get("dataset_warnings", [])]
        models.add(specification["model"])
        if evaluation.network is not None:
            weights[specification["model"]] = _origin_of(
                read_sealed_json(evaluation.network / "manifest.json")
            )
        counts = evaluation.frame["procedure"].value_counts()
        samples[name] = int(counts.max()) if len(counts) else 0
    for model in inputs.models:
        manifest = model.manifest
        manifests[f"model {model.name}"] = manifest
        weights[model.name] = _origin_of(manifest)
        if manifest["specification"].get("training"):
            split = f"{manifest['specification']['dataset']}/train"
            datasets.add(split)
            warnings += [f"{split}: {each}" for each in manifest.get("dataset_warnings", [])]
    libraries: dict[str, set[str]] = {}
    for manifest in manifests.values():
        for library, version in manifest["libraries"].items():
            libraries.setdefault(library, set()).add(version)
    return Provenance(
        work=inputs.work,
        artefact=inputs.name,
        title=inputs.title or inputs.name,
        scale=inputs.scale,
        datasets=tuple(sorted(datasets)),
        models=tuple(sorted(models)),
        weights=dict(sorted(weights.items())),
        warnings=_distinct(warnings),
        samples=samples,
        seeds=_distinct(
            m["specification"]["seed"] for m in manifests.values() if "seed" in m["specification"]
        ),
        devices=_distinct(manifest["device"] for manifest in manifests.values()),
        codes=_distinct([*(manifest["code"] for manifest in manifests.values()), code_version()]),
        libraries={library: ", ".join(sorted(versions)) for library, versions in sorted(libraries.items())},
        inputs={name: manifest["seconds"] for name, manifest in manifests.items()},
        specifications={name: manifest["specification"] for name, manifest in manifests.items()},
    )


def _origin_of(manifest: Mapping[str, Any]) -> str:
    """Return where a model's weights come from, by its manifest, and whether its training came to nothing."""
    specification = manifest["specification"]
    if specification.get("checkpoint"):
        return f"published weights {specification['checkpoint']['file']}"
    origin = "trained here"
    if specification.get("in_place_of"):
        origin = f"trained here in place of published weights {specification['in_place_of']}"
    accuracy, chance = manifest["test_accuracy"], 1 / specification["classes"]
    if accuracy < chance + _LEARNED * (1 - chance):
        return f"{origin}, hardly better than guessing ({accuracy:.0%} of the test images)"
    return origin


def _named(models: Sequence[str]) -> str:
    """Name models if they are few, else count them."""
    return ", ".join(models) if len(models) <= _FEW_MODELS else f"{len(models)} models"


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(sorted(set(values)))
