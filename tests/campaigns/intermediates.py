"""Single flipped bits in every kind of intermediate file, and truncated ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from outcomes import HEALED, SILENT, Section

from gauntlet.analysis.inputs import TrainedModel
from gauntlet.analysis.results import EvaluationTable
from gauntlet.contracts import PROCEDURES
from gauntlet.datasets import open_split
from gauntlet.datasets.prepare import prepare_split
from gauntlet.datasets.settings import DatasetSettings
from gauntlet.evaluation.runner import Shard, run_shard
from gauntlet.models import load_model
from gauntlet.runtime.files import file_sha256
from gauntlet.training import loop
from gauntlet.training.state import STATE

CPU = torch.device("cpu")
DIGITS = {
    "shape": [1, 28, 28],
    "classes": 10,
    "splits": {split: {"sources": [{"kind": "embedded_digits"}]} for split in ("train", "test")},
}


@dataclass(frozen=True)
class World:
    """A small run: two splits, a network, an evaluation with its caches."""

    folder: Path

    @property
    def model(self) -> dict[str, Any]:
        """Specification of the network."""
        return {
            "model": "toy",
            "dataset": "digits",
            "input_shape": [1, 28, 28],
            "classes": 10,
            "architecture": {"name": "cnn", "layers": [{"layer": "linear", "units": 8}]},
            "normalization": None,
            "defence": {"name": "natural"},
            "training": {"epochs": 2, "optimizer": {"name": "adam", "lr": 0.01}, "samples": 200},
            "checkpoint": None,
            "seed": 0,
        }

    @property
    def evaluation(self) -> dict[str, Any]:
        """Specification of the evaluation."""
        attack = {"name": "pgd", "norm": "linf", "eps": 0.1, "steps": 2, "step_size": 0.05}
        samples = {
            "split": "test",
            "count": 20,
            "order": "first",
            "offset": 0,
            "correct_only": False,
            "targets": "none",
        }
        return {
            "work": "toy", "evaluation": "attacks", "scale": "demo", "model": "toy", "dataset": "digits",
            "samples": samples, "chunk": 10, "keep_images": 5, "references": 0, "seed": 0,
            "procedures": {"pgd": PROCEDURES.normalize(attack)},
        }  # fmt: skip

    def make(self) -> World:
        """Make everything, with a network of the first epoch kept as an unfinished training."""
        self.prepare()
        self.train(self.folder / "model")
        self.unfinished()
        self.evaluate()
        return self

    def prepare(self) -> None:
        """Prepare both splits."""
        settings = DatasetSettings.model_validate(DIGITS)
        for split in ("train", "test"):
            prepare_split(settings, "digits", split, self.folder / split)

    def train(self, folder: Path) -> None:
        """Train the network, or go on where it stopped."""
        folder.mkdir(exist_ok=True)
        loop.train(
            self.model, open_split(self.folder / "train"), open_split(self.folder / "test"), folder, CPU
        )

    def unfinished(self) -> None:
        """Keep the state of a training that stopped after its first epoch."""
        discard, loop.discard_state = loop.discard_state, lambda folder: None
        try:
            self.train(self.folder / "unfinished")
        finally:
            loop.discard_state = discard

    def evaluate(self) -> None:
        """Run the evaluation, or go on where it stopped."""
        model = self.folder / "model"
        run_shard(
            self.evaluation, load_model(model), open_split(self.folder / "test"),
            weights_sha256=file_sha256(model / "weights.safetensors"), shard=Shard(0, 1),
            cache=self.folder / "chunks", output=self.folder / "attacks.parquet", device=CPU,
        )  # fmt: skip

    def frame(self) -> pd.DataFrame:
        """Return the rows of the evaluation."""
        return pd.read_parquet(self.folder / "attacks.parquet")


def campaign(folder: Path, seed: int, count: int) -> Iterator[Section]:
    """Flip bits of every kind of file, one at a time, and read it as a job would."""
    world = World(folder).make()
    whole, weights = world.frame(), file_sha256(folder / "model" / "weights.safetensors")

    def silent(read: Callable[[], object]) -> Callable[[], str]:
        def action() -> str:
            read()
            return SILENT

        return action

    def evaluated_anew() -> str:
        world.evaluate()
        return HEALED if world.frame().equals(whole) else SILENT

    def trained_anew() -> str:
        world.unfinished()
        return HEALED if file_sha256(folder / "unfinished" / "weights.safetensors") == weights else SILENT

    (chunks,) = (folder / "chunks" / "pgd").iterdir()
    (selection,) = (folder / "chunks").glob("selection-*.npz")
    table = EvaluationTable(folder / "attacks.parquet")
    kinds: dict[Path, Callable[[], str]] = {
        folder / "test" / "images.npy": silent(lambda: open_split(folder / "test")),
        folder / "test" / "labels.npy": silent(lambda: open_split(folder / "test")),
        folder / "test" / "manifest.json": silent(lambda: open_split(folder / "test")),
        folder / "model" / "weights.safetensors": silent(lambda: load_model(folder / "model")),
        folder / "model" / "manifest.json": silent(lambda: load_model(folder / "model")),
        folder / "model" / "history.parquet": silent(lambda: TrainedModel("toy", folder / "model").history),
        folder / "attacks.parquet": silent(lambda: EvaluationTable(table.path).frame),
        folder / "attacks.npz": silent(table.images),
        chunks / "00000.parquet": evaluated_anew,
        chunks / "00000.npy": evaluated_anew,
        selection: evaluated_anew,
        folder / "unfinished" / STATE: trained_anew,
    }
    names = {chunks / f"00000.{kind}": f"chunks/00000.{kind}" for kind in ("parquet", "npy")}
    names[selection] = "chunks/selection.npz"
    rng = random.Random(f"{seed} flips")
    for file, read in kinds.items():
        section = Section(f"a bit of `{names.get(file, file.relative_to(folder).as_posix())}`")
        content = file.read_bytes()
        # To compute anew takes long: fewer of these.
        for _ in range(count if read not in (evaluated_anew, trained_anew) else max(1, count // 10)):
            damaged = bytearray(content)
            place, bit = rng.randrange(len(content)), rng.randrange(8)
            damaged[place] ^= 1 << bit
            if rng.random() < 0.1:
                damaged = damaged[:place]
            file.write_bytes(damaged)
            section.attempt(f"bit {bit} of byte {place}", read)
        file.write_bytes(content)
        yield section
