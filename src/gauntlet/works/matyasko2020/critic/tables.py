"""Table 4.1, the published numbers of the human study (Table 4.2), and what other classifiers say in its place."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gauntlet.analysis.bootstrap import bootstrap_means_over_seeds
from gauntlet.analysis.inputs import ArtefactInputs
from gauntlet.analysis.intervals import share, wilson
from gauntlet.analysis.published import beside_published, one_column_per_metric
from gauntlet.analysis.results import Results
from gauntlet.datasets import open_split
from gauntlet.reporting.artefacts import Table
from gauntlet.works.matyasko2020.critic.judges import Judges
from gauntlet.works.matyasko2020.critic.relative_sizes import (
    ATTACKS,
    DEFENCES,
    runs_of,
)

ERROR = "test_error"
NETWORKS = {"MLP-1200-1200-1200": "MLP"}
"""Names of networks as the published numbers have them: below full scale the layers are smaller."""

STUDY = {
    "human_label_is_target": ("change (%)", 2),
    "human_label_is_original": ("no change (%)", 2),
}


def robustness(inputs: ArtefactInputs) -> Table:
    """Table 4.1: test error and mean relative perturbations by network, defence and attack."""
    rows = []
    for (network, defence), results in inputs.results.groups("network", "defence"):
        base = {"network": network, "defence": defence}
        rows.append({**base, "metric": ERROR, **_test_error(inputs, network, defence)})
        rows += [{**base, "metric": attack, **_mean_size(results, attack)} for attack in _attacks(results)]
    compared = beside_published(
        pd.DataFrame(rows), _printed(inputs.published), on=["network", "defence", "metric"]
    )
    runs = sorted({len(each.values("run")) for _, each in inputs.results.groups("network")})
    headings = {ERROR: ("error (%)", 2), **{attack: (f"rho, {word}", 3) for attack, word in ATTACKS.items()}}
    layout = one_column_per_metric(compared, rows=["network", "defence"], metrics=headings)
    return Table(
        compared,
        "Test error, and mean l2 size of the perturbation over the l2 norm of the image (rho, eq. 4.9), over all test "
        f"images of the sample; means over {' or '.join(map(str, runs))} training{'s' if runs[-1] > 1 else ''}.",
        notes=(
            inputs.settings["trained"],
            "Published numbers stand in parentheses (10 trainings, 10,000 images); a dash stands for what was not run "
            "here.",
            "ci_low and ci_high bound a 95 % bootstrap interval, over trainings and images where there are several "
            "trainings, else over images.",
            "DeepFool and the high-confidence attack count with their last point also where it is no success, as in "
            "the work; an image on which C&W finds nothing does not count. The csv has the share of successes and the "
            "mean over them.",
            *(
                f"{ATTACKS[attack]}: {_budget(inputs.results.where(attack=attack))}."
                for attack in _attacks(inputs.results)
            ),
        ),
        layout=layout.assign(defence=layout["defence"].replace(DEFENCES)),
    )


def _test_error(inputs: ArtefactInputs, network: str, defence: str) -> dict[str, float]:
    """Return the error on the whole test set in percent: the mean over trainings, with the interval of one."""
    models = inputs.models_where(network=network, defence=defence)
    accuracies = [model.manifest["test_accuracy"] for model in models]
    images = models[0].manifest["test_images"]
    interval = wilson((1 - np.mean(accuracies)) * images, images).scaled(100)
    return {**interval.columns(), "runs": len(models), "images": images}


def _attacks(results: Results) -> list[str]:
    """Return the attacks that were run, in the order of the work's table."""
    return [attack for attack in ATTACKS if attack in results.values("attack")]


def _mean_size(results: Results, attack: str) -> dict[str, float]:
    found, sizes = results.where(attack=attack), runs_of(results, attack)
    success = np.stack([each.column("success").to_numpy(dtype=bool) for each in found.each()])
    succeeded = np.where(success, sizes, np.nan)
    return {
        **bootstrap_means_over_seeds(sizes).interval().columns(),
        "success_percent": 100 * success.mean(),
        "mean_over_successes": float(np.nanmean(succeeded)) if success.any() else np.nan,
        "runs": len(sizes),
        "images": sizes.shape[1],
    }


def _budget(found: Results) -> str:
    """Return the iterations that an attack had."""
    settings = next(found.each()).settings
    return (
        f"{settings['searches']} weights of {settings['steps']} iterations"
        if "searches" in settings
        else f"at most {settings['steps']} iterations"
    )


def _printed(published: pd.DataFrame) -> pd.DataFrame:
    errors = published["metric"] == ERROR
    return _named(published).assign(metric=np.where(errors, ERROR, published["attack"]))


def _named(published: pd.DataFrame) -> pd.DataFrame:
    """Name the networks of published numbers as ours are."""
    return published.assign(network=published["model"].replace(NETWORKS))


def human_study(inputs: ArtefactInputs) -> Table:
    """Table 4.2: what people saw in high-confidence adversarial images. Published numbers, nothing else."""
    keys = ["network", "defence", "metric"]
    nothing = pd.DataFrame(
        {**{key: pd.Series(dtype=str) for key in keys}, "reproduced": pd.Series(dtype=float)}
    )
    compared = beside_published(nothing, _named(inputs.published), on=keys)
    layout = one_column_per_metric(compared, rows=["network", "defence"], metrics=STUDY)
    return Table(
        compared,
        "Share of high-confidence adversarial images that people labelled as the class that the attack aimed at "
        "(change) and as the original class (no change), as published: 10,000 images a row.",
        notes=(
            "The study is not repeated: no program can stand for people. Figure 4.5 has its form.",
            "The rest of a row is other digits and '?'. Rows do not add up to 100 and are not scaled to do so.",
        ),
        layout=layout.assign(defence=layout["defence"].replace(DEFENCES)),
    )


def judges(inputs: ArtefactInputs) -> Table:
    """No part of the work: how classifiers of other kinds label the images that the study showed to people."""
    (folder,) = inputs.datasets.values()
    judge = Judges.fitted(open_split(folder), inputs.settings["learned"], inputs.settings["rejection"])
    rows = []
    for (network, defence), results in inputs.results.groups("network", "defence"):
        images = results.table.images()
        found = results.rows
        attacked = judge.labels(images[results.label("procedure")])
        clean = judge.labels(images["clean"])
        labels, aims = found["label"].to_numpy(), found["aim"].to_numpy()
        shares = {
            "change": attacked == aims,
            "no_change": attacked == labels,
            "rejected": attacked < 0,
            "clean_accuracy": clean == labels,
        }
        for metric, hits in shares.items():
            interval = share(hits).scaled(100)
            rows.append(
                {
                    **{"network": network, "defence": defence, "metric": metric},
                    **{"percent": interval.estimate, "ci_low": interval.low, "ci_high": interval.high},
                    "images": len(hits),
                }
            )
    frame = pd.DataFrame(rows)
    wide = frame.pivot_table(index=["network", "defence"], columns="metric", values="percent", sort=False)
    return Table(
        frame,
        "Labels that three classifiers of other kinds together give to high-confidence adversarial images of one "
        "training of each defence: a proxy, no reproduction of Table 4.2.",
        notes=(
            f"The judges are {Judges.words()}, fitted to {inputs.settings['learned']} training images and never "
            "attacked; below a mean probability of "
            f"{inputs.settings['rejection']:g} they say '?' (rejected). Clean accuracy is theirs on the same images "
            "before the attack.",
            "That an image fools other classifiers is not that people see another digit. At most the order of the "
            "defences compares, and no verdict rests on this table.",
        ),
        layout=wide.reset_index().assign(defence=lambda laid: laid["defence"].replace(DEFENCES)),
    )
