"""Claims of chapter 3 about success and queries on networks without defence, and about RayS itself."""

from __future__ import annotations

import numpy as np

from gauntlet.analysis.comparisons import more_often
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import share
from gauntlet.analysis.queries import charged, succeeded
from gauntlet.analysis.verdicts import Verdict, above, all_of, at_most, equals
from gauntlet.works.chen2021.query_claims import more_queries_where_successful

BASELINES = ("OPT", "SignOPT", "HSJA")


def rays_succeeds_most_often(inputs: ArtefactInputs) -> Verdict:
    """RayS succeeds more often than every other hard-label attack, on each network.

    A tie where both reach every image neither supports nor contradicts.
    """
    return all_of(
        *(
            more_often(
                f"success of RayS less {other}, {role}",
                succeeded(results.one(method="RayS")),
                succeeded(results.one(method=other)),
            )
            for role, results in inputs.results.groups("role")
            for other in BASELINES
        )
    )


def only_rays_succeeds_on_imagenet(inputs: ArtefactInputs) -> Verdict:
    """On ImageNet every baseline succeeds on fewer than 40 % of the images and RayS on more than a stated share."""
    parts = []
    for role, results in inputs.results.groups("role"):
        for method in (*BASELINES, "RayS"):
            rate, name = share(succeeded(results.one(method=method))), f"success of {method}, {role}"
            if method == "RayS":
                parts.append(above(name, rate, float(inputs.settings["above"])))
            else:
                parts.append(at_most(name, rate, float(inputs.settings["below"])))
    return all_of(*parts)


def rays_takes_the_fewest_queries(inputs: ArtefactInputs) -> Verdict:
    """RayS takes the fewest queries over its successes, in the mean and in the median, but where HSJA does.

    HSJA is said to be lower in the mean on Inception V3, and in the median on both ImageNet networks.
    """
    parts = []
    for statistic, function in (("mean", np.mean), ("median", np.median)):
        for role, results in inputs.results.groups("role"):
            for other in BASELINES:
                reversed_ = other == "HSJA" and role in inputs.settings["hsja"][statistic]
                more, less = ("RayS", other) if reversed_ else (other, "RayS")
                name = f"{statistic} queries, {more} less {less}, {role}"
                parts.append(more_queries_where_successful(name, results, more, less, function))
    return all_of(*parts)


def sign_opt_takes_more_queries_than_opt(inputs: ArtefactInputs) -> Verdict:
    """SignOPT takes more queries over its successes than OPT on average, although it succeeds more often."""
    parts = []
    for role, results in inputs.results.groups("role"):
        ours, theirs = (succeeded(results.one(method=method)) for method in ("SignOPT", "OPT"))
        name = f"SignOPT less OPT, {role}"
        parts += [
            more_queries_where_successful(f"mean queries, {name}", results, "SignOPT", "OPT"),
            more_often(f"success, {name}", ours, theirs),
        ]
    return all_of(*parts)


def pgd_reaches_every_undefended_image(inputs: ArtefactInputs) -> Verdict:
    """White-box PGD succeeds on more than a stated share of the images of each network."""
    return all_of(
        *(
            above(
                f"success of PGD, {role}",
                share(results.one(method="PGD").column("success")),
                float(inputs.settings["level"]),
            )
            for role, results in inputs.results.groups("role")
        )
    )


def rays_is_deterministic(inputs: ArtefactInputs) -> Verdict:
    """Two runs of RayS with different seeds agree image by image, in queries and in distance."""
    runs = [inputs.results.one(method=method) for method in ("RayS", "RayS, again")]
    queries, distance = (
        float(np.abs(first.to_numpy() - second.to_numpy()).max())
        for first, second in (
            [charged(run) for run in runs],
            [run.column("linf") for run in runs],
        )
    )
    return all_of(
        equals("largest difference of queries between two runs", queries, 0.0, tolerance=0.0),
        equals("largest difference of distances between two runs", distance, 0.0, tolerance=0.0),
    )
