"""Which images stay correctly classified, by model, attack and radius (croce2019, section 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gauntlet.reporting.inputs import ArtefactInputs, EvaluationResult

OURS = "ours"
"""The linear region attack's name in the tables."""


@dataclass(frozen=True)
class Attacked:
    """One model under all attacks of a table.

    Attributes:
        result: its evaluation.
        dataset: its data set, as the tables call it.
        model: its name in the tables.
        attacks: for each column of the tables ``procedure`` (an attack that minimizes the perturbation) or
            ``restarts`` (of the PGD runs, one per radius).
    """

    result: EvaluationResult
    dataset: str
    model: str
    attacks: Mapping[str, Mapping[str, Any]]

    @property
    def radii(self) -> list[float]:
        """The radii, ascending: those that PGD was run for."""
        return sorted(self._pgd)

    @property
    def _pgd(self) -> dict[float, str]:
        procedures = self.result.specification["procedures"]
        return {
            float(entry["eps"]): name
            for name, entry in procedures.items()
            if entry["name"] == "pgd_with_restarts"
        }

    @property
    def clean(self) -> np.ndarray:
        """Whether each image is classified correctly without an attack, ``[N]``."""
        frame = self.result.frame
        first = frame["procedure"].iloc[0]
        return frame.loc[frame["procedure"] == first, "correct"].to_numpy(dtype=bool)

    def stands(self, attack: str, eps: float) -> np.ndarray:
        """Whether each image withstands an attack at a radius, ``[N]``.

        An attack that minimizes answers for every radius by one distance per image, so that its robust
        accuracy cannot rise with the radius.
        """
        how = self.attacks[attack]
        if "procedure" in how:
            rows = self.result.rows(how["procedure"])
            found = rows["success"].to_numpy(dtype=bool) & (rows["l2"].to_numpy() <= eps)
        else:
            restart = self.result.rows(self._pgd[eps])["restart"].to_numpy()
            found = (restart >= 0) & (restart <= how["restarts"])
        return self.clean & ~found

    def standing(self) -> np.ndarray:
        """Return ``stands`` for all images, radii and attacks, ``[N, radii, attacks]``."""
        return np.stack(
            [np.stack([self.stands(attack, eps) for attack in self.attacks], 1) for eps in self.radii], 1
        )


def attacked_models(inputs: ArtefactInputs) -> list[Attacked]:
    """Return the models of the evaluations, named ``<set>-<model>``, in their order."""
    return list(_attacked(inputs))


def _attacked(inputs: ArtefactInputs) -> Iterator[Attacked]:
    for name, result in inputs.evaluations.items():
        for prefix, dataset in inputs.settings["datasets"].items():
            if name.startswith(f"{prefix}-"):
                yield Attacked(
                    result, dataset, table_name(name.removeprefix(f"{prefix}-")), inputs.settings["attacks"]
                )


def table_name(kind: str) -> str:
    """Write a model's name as the tables do: ``linf-mmr-at`` is linf-MMR-at."""
    return kind.replace("mmr", "MMR").replace("kw", "KW")


def named(models: list[Attacked], dataset: str, *kinds: str) -> list[Attacked]:
    """Return the models of a data set, or those of some kinds in this order.

    Raises:
        LookupError: there is no such model.
    """
    of_set = [model for model in models if model.dataset == dataset]
    chosen = [model for kind in kinds for model in of_set if model.model == kind] if kinds else of_set
    if not chosen or (kinds and len(chosen) != len(kinds)):
        raise LookupError(f"no model {', '.join(kinds)} of {dataset} was evaluated")
    return chosen
