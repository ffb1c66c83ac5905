"""Results: the rows of all evaluations that an artefact reads, selected by labels."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gauntlet.errors import did_you_mean
from gauntlet.runtime.checksums import readable
from gauntlet.runtime.tables import read_manifest

SAMPLE = ("index", "target")
"""Columns that identify a sample: the image's position in its split, and its target class (-1 for none)."""


@dataclass(frozen=True)
class EvaluationTable:
    """The table of one evaluation with what produced it.

    Attributes:
        path: the parquet file.
        network: folder of the network that was evaluated.
    """

    path: Path
    network: Path | None = None

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per procedure and sample.

        Columns: ``procedure``, ``index``, ``label``, ``target``, ``correct`` (the clean prediction is right), then
        the union of the procedures' columns.
        """
        with readable(self.path):
            return pd.read_parquet(self.path)

    def rows(self, procedure: str) -> pd.DataFrame:
        """Return the rows of a procedure in the order of the samples, without columns that it does not have."""
        if procedure not in self._rows:
            rows = self.frame.iloc[self._positions[procedure]]
            self._rows[procedure] = rows.dropna(axis="columns", how="all").reset_index(drop=True)
        return self._rows[procedure]

    def samples(self, procedure: str) -> pd.MultiIndex:
        """Return the samples of a procedure in their order, as an index; the same for all that have the same."""
        if procedure not in self._samples:
            rows = self.rows(procedure)[list(SAMPLE)]
            content = rows.to_numpy(dtype=np.int64).tobytes()
            if content not in self._indexes:
                self._indexes[content] = pd.MultiIndex.from_frame(rows)
            self._samples[procedure] = self._indexes[content]
        return self._samples[procedure]

    # An artefact reads few of an evaluation's hundreds of procedures: only those are cut out of the table.
    @cached_property
    def _positions(self) -> dict[str, np.ndarray]:
        groups = self.frame.groupby("procedure", sort=False).indices
        return {str(name): np.asarray(rows) for name, rows in groups.items()}

    @cached_property
    def _rows(self) -> dict[str, pd.DataFrame]:
        return {}

    @cached_property
    def _samples(self) -> dict[str, pd.MultiIndex]:
        return {}

    @cached_property
    def _indexes(self) -> dict[bytes, pd.MultiIndex]:
        return {}

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Provenance: specification, seed, versions, device, times; ``selection`` says what was skipped."""
        return read_manifest(self.path)

    @property
    def specification(self) -> dict[str, Any]:
        """The resolved specification: model, dataset, samples, procedures."""
        return self.manifest["specification"]

    def images(self) -> dict[str, np.ndarray]:
        """Return the kept images: ``clean`` and one array per procedure, float32 ``[n, C, H, W]``."""
        file = self.path.with_suffix(".npz")
        with readable(file), np.load(file) as archive:
            return dict(archive)


@dataclass(frozen=True)
class Results:
    """A selection of procedures, each run on one model over one sample of images.

    Attributes:
        procedures: one row per evaluation and procedure, in the order of the configuration: ``evaluation``,
            ``procedure``, ``dataset``, and every label of the model (``model`` among them), the evaluation and
            the procedure. Attacks also have ``family``, ``knowledge``, ``norm``, ``radius`` (NaN for attacks
            that minimize the perturbation) and ``distance`` (the column that holds its size).
        tables: the evaluations by name.
    """

    procedures: pd.DataFrame
    tables: Mapping[str, EvaluationTable]

    def __len__(self) -> int:
        """Return the number of procedures."""
        return len(self.procedures)

    # --- selection ------------------------------------------------------------------------------------------

    def where(self, **labels: Any) -> Results:
        """Return the procedures with these labels; a list, tuple or set stands for any of its values.

        Nothing selected is no error: an attack may not have been run at this scale.

        Raises:
            KeyError: there is no such label.
        """
        if not labels:
            return self
        chosen = np.ones(len(self.procedures), dtype=bool)
        for name, wanted in labels.items():
            column = self._label(name)
            if isinstance(wanted, (list, tuple, set, frozenset)):
                chosen &= column.isin(list(wanted)).to_numpy()
            elif wanted is None:
                chosen &= column.isna().to_numpy()
            else:
                # As an array: results are selected from again and again, and a series compares ten times slower.
                chosen &= column.to_numpy(dtype=object) == wanted
        return Results(self.procedures[chosen], self.tables)

    def values(self, label: str) -> list[Any]:
        """Return the distinct values of a label in the order of the configuration, missing ones left out."""
        return list(self._label(label).dropna().unique())

    def groups(self, *labels: str) -> Iterator[tuple[Any, Results]]:
        """Yield the results of each combination of labels in order; of one label its value, else a tuple.

        Procedures that lack one of the labels are left out.
        """
        kept = self.procedures.dropna(subset=[self._label(label).name for label in labels])
        for key, rows in kept.groupby(list(labels), sort=False):
            yield (key[0] if len(labels) == 1 else key), Results(rows, self.tables)

    def each(self) -> Iterator[Results]:
        """Yield the selected procedures one by one."""
        for position in range(len(self.procedures)):
            yield Results(self.procedures.iloc[[position]], self.tables)

    def label(self, name: str) -> Any:
        """Return the one value that a label has in all selected procedures.

        Raises:
            LookupError: it has none, or several.
        """
        found = self.values(name)
        if len(found) != 1:
            raise LookupError(f"the label {name} has {len(found)} values in {self.described()}: {found}")
        return found[0]

    def one(self, **labels: Any) -> Results:
        """Return the one procedure with these labels.

        Raises:
            LookupError: there is none, or there are several; the message lists them.
        """
        chosen = self.where(**labels)
        if len(chosen) != 1:
            asked = ", ".join(f"{name}={value!r}" for name, value in labels.items()) or "no labels"
            within = chosen.described() if len(chosen) else f"none of {self.described()}"
            raise LookupError(f"one procedure was asked for by {asked}; found {within}")
        return chosen

    def described(self) -> str:
        """Return the selected procedures by name, the first few of many."""
        names = [f"{evaluation}/{procedure}" for evaluation, procedure in self._pairs]
        return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")

    # --- what was measured ----------------------------------------------------------------------------------

    @property
    def rows(self) -> pd.DataFrame:
        """The rows of the one selected procedure, in the order of the samples, without labels."""
        self.one()
        ((evaluation, procedure),) = self._pairs
        return self.tables[evaluation].rows(procedure)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One tidy frame: a row per sample and procedure, with the labels as columns."""
        pieces = []
        for _, labels in self.procedures.iterrows():
            rows = self.tables[labels["evaluation"]].rows(labels["procedure"])
            known = labels.dropna()
            pieces.append(rows.drop(columns="procedure").assign(**known))
        return pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame()

    def column(self, name: str) -> pd.Series:
        """Return a column of the one selected procedure by sample; NaN throughout if nothing was recorded.

        A column that is empty for all samples (queries to a success that never came) is not stored.
        """
        rows = self.rows
        values = rows[name].to_numpy() if name in rows else np.full(len(rows), np.nan)
        return pd.Series(values, index=self._samples, name=name)

    def by_sample(self, name: str, *labels: str) -> pd.DataFrame:
        """Return a column with a row per sample and a column per combination of labels (per procedure if none).

        Rows keep the order of the samples; a sample that one procedure lacks is left out.
        """
        columns = {}
        for key, chosen in self.groups(*(labels or ("evaluation", "procedure"))):
            columns[key] = chosen.column(name)
        return pd.concat(columns, axis=1, join="inner") if columns else pd.DataFrame()

    @property
    def correct(self) -> pd.Series:
        """Whether the clean image is classified correctly, by sample, for procedures that share their samples."""
        evaluation, procedure = self._pairs[0]
        rows = self.tables[evaluation].rows(procedure)
        return pd.Series(rows["correct"].to_numpy(dtype=bool), index=self._samples, name="correct")

    # --- what was run ---------------------------------------------------------------------------------------

    @property
    def table(self) -> EvaluationTable:
        """The one evaluation that the selected procedures belong to."""
        return self.tables[self.label("evaluation")]

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings that the one selected procedure ran with."""
        self.one()
        ((evaluation, procedure),) = self._pairs
        return self.tables[evaluation].specification["procedures"][procedure]

    @property
    def seconds(self) -> float:
        """Computing time of the one selected procedure, over all of its samples."""
        return float(self.table.manifest["procedure_seconds"][self.label("procedure")])

    def setting(self, name: str) -> Any:
        """Return the one value that a setting has in all selected procedures.

        Raises:
            LookupError: it differs between them, or one lacks it.
        """
        found = {
            json.dumps(self.tables[evaluation].specification["procedures"][procedure].get(name))
            for evaluation, procedure in self._pairs
        }
        values = [json.loads(text) for text in sorted(found)]
        if len(values) != 1 or values[0] is None:
            raise LookupError(f"the setting {name} is not one in {self.described()}: {values}")
        return values[0]

    @property
    def _samples(self) -> pd.MultiIndex:
        """The samples of the first selected procedure."""
        evaluation, procedure = self._pairs[0]
        return self.tables[evaluation].samples(procedure)

    @cached_property
    def _pairs(self) -> list[tuple[str, str]]:
        """Evaluation and name of each selected procedure."""
        return list(zip(self.procedures["evaluation"], self.procedures["procedure"], strict=True))

    def _label(self, name: str) -> pd.Series:
        if name not in self.procedures:
            known = list(map(str, self.procedures.columns))
            raise KeyError(f"no label is named {name}; {did_you_mean(name, known)}")
        return self.procedures[name]


def load_results(
    evaluations: Mapping[str, Mapping[str, Any]], read: dict[Path, EvaluationTable] | None = None
) -> Results:
    """Return the results of an artefact's evaluations; tables are read when first used.

    Args:
        evaluations: by name ``file``, ``labels`` (of model and evaluation), ``procedures`` (labels by name) and
            perhaps ``network`` (folder of the model).
        read: tables by file, shared by callers that read the same ones; new ones are added.
    """
    records = [
        {"evaluation": name, "procedure": procedure, **entry["labels"], **labels}
        for name, entry in evaluations.items()
        for procedure, labels in entry["procedures"].items()
    ]
    read = {} if read is None else read
    tables = {}
    for name, entry in evaluations.items():
        path = Path(entry["file"])
        network = Path(entry["network"]) if "network" in entry else None
        tables[name] = read.setdefault(path, EvaluationTable(path, network))
    # Plain objects: label columns are short, mixed in type and selected from again and again.
    return Results(pd.DataFrame(records, dtype=object), tables)
