"""Chapter 3: every check supports its claim on the printed tables and none on tables that deny it.

Images stand in one order for all trainings: as many are misclassified as is printed, and the sizes of the others have
the printed mean. Trainings differ by the printed spread, each defence's in an order of its own. Of the figures nothing
is printed: what the text says of them is made up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

MLP, LENET = "MLP-1000-1000-1000", "LeNet-5"
KINDS = {
    "at": "AT",
    "vat": "VAT",
    "margin-l1": "margin_l1",
    "margin-l2": "margin_l2",
    "margin-l2-plain": "margin_l2",
}
NIN = {
    "none": "NIN w/o data augm.", "l2-0.01": "NIN l2, C = 0.01", "l2-0.001": "NIN l2, C = 0.001",
    "augmented": "NIN with data augm.", "augmented-l2-0.005": "NIN l2, C = 0.005",
}  # fmt: skip
STRENGTHS = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Of the scale small, by their numbers in names."""

Numbers = Mapping[str, float]


@dataclass(frozen=True)
class Print:
    """The printed tables as evaluations.

    Attributes:
        numbers: error, error under FGSM and rho with their spreads, by network and defence, or by row of Table 3.2.
        instead: whose numbers a row has, if not its own.
        flat: whether all images of a row have its mean size.
        curve: rho by strength and attack.
        validation: validation error by strength.
        failing: whether the trainings of K11 and K13 diverge.
    """

    numbers: Mapping[tuple[str, str], Numbers]
    instead: Mapping[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    flat: bool = False
    curve: Mapping[str, tuple[float, ...]] = field(
        default_factory=lambda: {
            "DeepFool": (0.15, 0.152, 0.2, 0.44, 0.21, 0.22, 0.23, 0.24, 0.25),
            "C&W": (0.14, 0.15, 0.16, 0.17, 0.18, 0.19, 0.2, 0.21, 0.22),
        }
    )
    validation: tuple[float, ...] = (1.5, 1.5, 1.4, 1.3, 1.1, 1.0, 0.9, 1.0, 1.5)
    failing: bool = True

    def evaluation(self, name: str) -> tuple[pd.DataFrame, dict[str, Any], dict[str, np.ndarray]]:
        """Return the rows of an evaluation, its manifest and no images."""
        network, _, rest = name.partition("-")
        if network in ("sweep", "stronger"):
            frame = self._strength(network == "sweep", rest)
        elif network == "nin":
            frame = self._row(("NIN", NIN[rest]), 4000, 0)
        else:
            kind, _, run = rest.rpartition("-")
            key = (MLP if network == "mlp" else LENET, KINDS.get(kind, kind))
            frame = self._row(key, 2000, (int(run) + len(kind)) % 3 - 1)
        return frame, {"specification": {"model": name, "procedures": {}}}, {}

    def model(self, name: str) -> tuple[pd.DataFrame, dict[str, Any]]:
        """Return history and manifest of a training."""
        if "sweep" not in name:
            return pd.DataFrame({"epoch": [1]}), {"test_accuracy": 0.99} | (
                {"diverged_at_epoch": 1} if self.failing else {}
            )
        number, run = name.split("-")[-2:]
        error = self.validation[int(number)] + 0.02 * int(run)
        return pd.DataFrame({"epoch": [1, 2], "validation_accuracy": [np.nan, 1 - error / 100]}), {}

    def _row(self, key: tuple[str, str], images: int, shift: int) -> pd.DataFrame:
        """Return the rows of one training, ``shift`` spreads away from the mean."""
        printed = self.numbers[self.instead.get(key, key)]
        value = {
            name: printed[name] + shift * printed.get(f"{name}_spread", 0.0)
            for name in ("test_error", "adv_test_error", "rho_adv")
        }
        position = (np.arange(images) + 0.5) / images
        correct = 100 * position > value["test_error"]
        factor = np.ones(images) if self.flat else -np.log1p(-position)
        sizes = np.where(correct, factor / factor[correct].mean() * value["rho_adv"], 0.0)
        attacked = np.where(100 * position > value["adv_test_error"], 0, 1)
        return self._frame(correct, {"clean": {"image_l2": 1.0}, "fgsm": {"prediction": attacked},
                                     "fgsm-box": {"prediction": attacked},
                                     "deepfool": {"success": True, "l2": sizes}})  # fmt: skip

    def _strength(self, sweep: bool, rest: str) -> pd.DataFrame:
        number = int(rest.split("-")[-2])
        factor = 1 + 0.1 * np.linspace(-1, 1, 100)
        procedures: dict[str, dict[str, Any]] = {"clean": {"image_l2": 1.0}}
        for procedure, attack in (("deepfool", "DeepFool"), ("cw", "C&W")):
            rho = self.curve["C&W" if sweep else attack][number]
            if procedure == "deepfool" or not sweep:
                procedures[procedure] = {"success": True, "l2": factor * rho}
        return self._frame(np.ones(100, dtype=bool), procedures)

    @staticmethod
    def _frame(correct: np.ndarray, procedures: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
        common = {"index": np.arange(len(correct)), "label": 0, "target": -1, "correct": correct}
        return pd.concat(
            [pd.DataFrame({"procedure": name, **common, **columns}) for name, columns in procedures.items()],
            ignore_index=True,
        )


@pytest.fixture(scope="module")
def printed(published) -> Print:
    """Tables 3.1 and 3.2."""
    numbers: dict[tuple[str, str], dict[str, float]] = {}
    for row in published("table_3_1.csv").itertuples():
        metric = str(row.metric).replace("_mean", "")
        numbers.setdefault((row.model, row.defence), {})[metric] = float(row.value)
    for row in published("table_3_2.csv").itertuples():
        numbers.setdefault(("NIN", row.row_label), {})[row.metric] = float(row.value)
    return Print(numbers)


def exchanged(network: str, one: str, other: str) -> dict[str, Any]:
    """Give two rows each other's numbers."""
    return {"instead": {(network, one): (network, other), (network, other): (network, one)}}


RISING = (0.15, 0.16, 0.17, 0.18, 0.19, 0.2, 0.21, 0.22, 0.23)
# By claim: what makes the print deny it.
DENIALS: dict[str, dict[str, Any]] = {
    "margin-and-vat-reduce-overfitting": exchanged(MLP, "VAT", "none"),
    "adversarial-training-is-best-on-fgsm": exchanged(LENET, "AT", "margin_l1"),
    "adversarial-training-is-less-robust-than-margins": exchanged(MLP, "AT", "margin_l2"),
    "undefended-networks-collapse-under-fgsm": exchanged(LENET, "none", "margin_l1"),
    "lenet-is-more-robust-than-the-mlp": {"instead": {(MLP, "none"): (LENET, "none"), (LENET, "none"): (MLP, "none")}},
    "l1-margin-beats-l2-margin-on-fgsm": exchanged(LENET, "margin_l1", "margin_l2"),
    "l1-margin-has-the-largest-rho": exchanged(MLP, "margin_l1", "margin_l2"),
    "defended-networks-keep-weak-images": {"flat": True},
    "adversarial-training-overfits-its-attack": exchanged(MLP, "AT", "none"),
    "margins-raise-robustness-on-cifar-10": exchanged("NIN", NIN["none"], NIN["l2-0.01"]),
    "margins-lower-the-clean-error-without-augmentation-alone": exchanged("NIN", NIN["none"], NIN["l2-0.001"]),
    "robustness-of-lenet-grows-with-the-strength": {"curve": {"C&W": RISING[::-1], "DeepFool": RISING}},
    "robustness-of-the-mlp-is-inflated-at-moderate-strengths": {"curve": {"C&W": RISING, "DeepFool": RISING}},
    "the-chosen-strengths-have-the-lowest-validation-error": {
        "validation": (0.5, 1.5, 1.4, 1.3, 1.1, 1.0, 0.9, 1.0, 1.5)
    },
}  # fmt: skip
FAILURES = ("l1-training-is-unstable-at-large-strengths", "network-in-network-diverges-with-the-hinge")
OTHERS = {
    "the-objective-bounds-the-robust-hinge": "by construction",
    "perturbations-of-margin-networks-look-meaningful": "not testable",
}


def test_the_print_supports_every_claim(printed, inputs_of, verdict_of):
    for name in (*DENIALS, *FAILURES):
        verdict = verdict_of(inputs_of(name, printed, scale="small"))
        assert verdict.decision == "supported", (name, verdict.reason)


@pytest.mark.parametrize("name", DENIALS)
def test_a_denial_contradicts_a_claim(name, printed, inputs_of, verdict_of):
    verdict = verdict_of(inputs_of(name, replace(printed, **DENIALS[name]), scale="small"))
    assert verdict.decision == "contradicted", verdict.reason


@pytest.mark.parametrize("name", FAILURES)
def test_trainings_that_all_end_well_support_no_instability(name, printed, inputs_of, verdict_of):
    verdict = verdict_of(inputs_of(name, replace(printed, failing=False), scale="small"))
    assert verdict.decision == "inconclusive"


def test_what_no_run_can_decide_is_no_evidence(printed, inputs_of, verdict_of):
    found = {name: verdict_of(inputs_of(name, printed, scale="small")).decision for name in OTHERS}
    assert found == OTHERS


def test_a_single_training_has_no_spread_to_judge_by(printed, inputs_of, verdict_of):
    verdict = verdict_of(inputs_of("l1-margin-has-the-largest-rho", printed, scale="demo"))
    assert verdict.decision == "inconclusive"
    assert "no spread" in verdict.reason


def test_every_claim_is_judged_on_the_print(catalogues):
    claims = catalogues("full").works["matyasko2020"].chapters["margin"].claims
    assert set(claims) == {*DENIALS, *FAILURES, *OTHERS}
    assert not any(claim.untestable for claim in claims.values())
