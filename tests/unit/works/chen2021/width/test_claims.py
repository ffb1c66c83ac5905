"""Checks support the printed tables, and none supports tables that deny its claim."""

from __future__ import annotations

import pytest

CLAIMS = [
    "stability-falls-with-width",
    "stability-rises-with-lambda",
    "natural-accuracy-falls-with-lambda",
    "natural-accuracy-rises-with-width",
    "the-best-lambda-grows-with-width",
    "a-larger-lambda-makes-the-widest-network-more-robust",
    "the-widest-network-needs-a-larger-lambda-to-lead",
    "natural-accuracy-rises-while-stability-falls",
    "robust-overfitting-is-a-loss-of-stability",
    "wider-networks-have-less-natural-and-more-robust-loss",
    "wider-networks-have-larger-lipschitz-constants",
    "the-best-lambda-depends-on-width-under-every-attack",
    "attacks-rank-alike-on-every-network",
    "adjusted-networks-are-as-robust-as-tuned-ones",
    "adjusted-lambdas-grow-with-width",
    "adjusting-lambda-takes-fewer-hours",
    "adjusted-networks-withstand-autoattack-more-often",
    "more-width-helps-with-unlabeled-images",
    "longer-steps-attack-better",
]
CLOSE = {
    "stability-falls-with-width",
    "the-best-lambda-grows-with-width",
    "the-best-lambda-depends-on-width-under-every-attack",
    "attacks-rank-alike-on-every-network",
}
"""What fewer images than the printed number leave open."""


def test_every_claim_that_is_judged_at_full_is_tested_here(catalogues):
    claims = catalogues("full").works["chen2021"].content.claims
    own = {name for name, claim in claims.items() if claim.source.startswith("C5.") and not claim.untestable}
    assert own == set(CLAIMS)


@pytest.mark.parametrize("name", CLAIMS)
def test_a_check_supports_its_claim_on_the_printed_tables(name, printed, inputs_of, verdict_of):
    world = printed.but(images=10_000) if name in CLOSE else printed
    verdict = verdict_of(inputs_of(name, world, "full"))
    assert verdict.decision == "supported", verdict.reason


ONE_WIDTH = {1: 10, 5: 10, 10: 1}
"""The widest network is the thinnest and the others are the widest."""
MIDDLE_LAST = {1: 1, 5: 10, 10: 5}
"""Only the two wider networks are exchanged."""
LESS = {"losses": {"natural_loss": (0.4, 0.7), "robust_loss": (0.05, 0.08)}}
MORE = {"losses": {"natural_loss": (0.7, 0.4), "robust_loss": (0.08, 0.05)}}
SWAPPED = {6: 21, 9: 18, 12: 15, 15: 12, 18: 9, 21: 6, 1.0: 2.0, 1.25: 1.75, 1.75: 1.25, 2.0: 1.0}


@pytest.mark.parametrize(
    ("name", "denied", "scale"),
    [
        ("stability-falls-with-width", {"widths": ONE_WIDTH}, "small"),
        ("stability-falls-with-width", {"widths": MIDDLE_LAST}, "small"),
        ("natural-accuracy-rises-with-width", {"widths": ONE_WIDTH}, "small"),
        ("natural-accuracy-rises-with-width", {"widths": MIDDLE_LAST}, "small"),
        ("stability-rises-with-lambda", {"strengths": SWAPPED}, "small"),
        ("natural-accuracy-falls-with-lambda", {"strengths": SWAPPED}, "small"),
        ("natural-accuracy-falls-with-lambda", {"strengths": {12: 15, 15: 12}}, "full"),
        ("the-best-lambda-grows-with-width", {"strengths": SWAPPED}, "small"),
        ("the-best-lambda-grows-with-width", {"widths": {5: 10, 10: 5}}, "full"),
        ("a-larger-lambda-makes-the-widest-network-more-robust", {"strengths": {18: 6, 6: 18}}, "small"),
        ("a-larger-lambda-makes-the-widest-network-more-robust", {"strengths": {18: 6}}, "full"),
        ("the-widest-network-needs-a-larger-lambda-to-lead", {"widths": MIDDLE_LAST}, "small"),
        ("the-widest-network-needs-a-larger-lambda-to-lead", {"strengths": {6: 12}}, "full"),
        ("natural-accuracy-rises-while-stability-falls", {"at_end": (84, 51, 76)}, "small"),
        ("natural-accuracy-rises-while-stability-falls", {"at_end": (39, 51, 62)}, "small"),
        ("robust-overfitting-is-a-loss-of-stability", {"at_end": (84, 57, 62)}, "full"),
        ("robust-overfitting-is-a-loss-of-stability", {"at_end": (84, 51, 68)}, "full"),
        ("robust-overfitting-is-a-loss-of-stability", {"at_end": (80, 51, 62)}, "full"),
        ("wider-networks-have-less-natural-and-more-robust-loss", LESS, "small"),
        ("wider-networks-have-less-natural-and-more-robust-loss", MORE, "small"),
        ("wider-networks-have-larger-lipschitz-constants", {"losses": {"local_lipschitz": (2.0, 1.0)}}, "small"),
        ("the-best-lambda-depends-on-width-under-every-attack", {"strengths": {6: 18, 18: 6}}, "small"),
        ("attacks-rank-alike-on-every-network", {"attacks": {"FAB": "PGD", "PGD": "FAB"}}, "small"),
        ("attacks-rank-alike-on-every-network", {"attacks": {"Square": "FAB"}}, "small"),
        ("adjusted-networks-are-as-robust-as-tuned-ones", {"adjusted": 4.0}, "small"),
        ("adjusted-lambdas-grow-with-width", {"lambdas": {1: 9.1, 5: 16.4, 10: 14.4}}, "small"),
        ("adjusted-lambdas-grow-with-width", {"lambdas": {1: 9, 5: 18, 10: 30}}, "full"),
        ("adjusting-lambda-takes-fewer-hours", {"hours": {1: 1, 5: 2, 10: 3}}, "full"),
        ("adjusted-networks-withstand-autoattack-more-often", {"exchanged": True}, "small"),
        ("more-width-helps-with-unlabeled-images", {"exchanged": True}, "full"),
        ("longer-steps-attack-better", {"short": -2.0}, "small"),
    ],
)  # fmt: skip
def test_a_check_contradicts_its_claim_on_tables_that_deny_it(
    name, denied, scale, printed, inputs_of, verdict_of
):
    verdict = verdict_of(inputs_of(name, printed.but(**denied), scale))
    assert verdict.decision == "contradicted", verdict.reason
