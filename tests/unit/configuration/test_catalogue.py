"""Every mistake in the configuration gives one message with file, key, what was found and what is valid."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from gauntlet.cli import main
from gauntlet.configuration import load_catalogue
from gauntlet.configuration.every_scale import check_every_scale
from gauntlet.configuration.specifications import claim_specification
from gauntlet.errors import ConfigurationError

CONFIG = Path(__file__).parents[3] / "config"


def test_the_scale_is_chosen_and_grids_are_unfolded(load_toy):
    catalogue = load_toy(scale="small")
    assert set(catalogue.models) == {"toy-4", "toy-8"}
    assert catalogue.models["toy-8"].dataset == "mnist"
    assert catalogue.models["toy-8"].training.epochs == 2
    assert catalogue.models["toy-8"].defence["attack"]["eps"] == pytest.approx(8 / 255)
    procedures = catalogue.evaluation("toy", "attacks-4").procedures
    assert {name: entry["steps"] for name, entry in procedures.items()} == {"pgd-1": 1, "pgd-5": 5}


def test_a_changed_setting_changes_only_the_specifications_that_depend_on_it(load_toy):
    before, after = (
        load_toy(),
        load_toy(
            lambda work: work["evaluations"]["attacks-{eps}"]["procedures"]["pgd-{steps}"].update(eps="9/255")
        ),
    )
    assert before.model_specification("toy-4") == after.model_specification("toy-4")
    assert before.evaluation_specification("toy", "attacks-4") != after.evaluation_specification(
        "toy", "attacks-4"
    )


def test_a_changed_label_changes_no_specification_of_a_model_or_evaluation(load_toy):
    def label(work):
        for entry in (model(work), evaluation(work), procedure(work)):
            entry["labels"] = {"renamed": "afterwards"}

    before, after = load_toy(), load_toy(label)
    assert before.model_specification("toy-4") == after.model_specification("toy-4")
    assert before.evaluation_specification("toy", "attacks-4") == after.evaluation_specification(
        "toy", "attacks-4"
    )
    assert after.evaluation_labels("toy", "attacks-4")["renamed"] == "afterwards"


def test_a_claim_names_the_artefacts_that_share_its_evaluations():
    catalogue = load_catalogue(CONFIG, {"scale": "demo"})
    claim = claim_specification(catalogue, "chen2021", "frank-wolfe-halves-the-queries")
    assert set(claim["evaluations"]) == {"queries-mnist", "queries-imagenet"}
    assert claim["artefacts"] == ["table-2-3", "figure-2-1"]
    untestable = claim_specification(catalogue, "chen2021", "frank-wolfe-is-the-fastest-black-box-attack")
    assert untestable["artefacts"] == [], "a claim without evidence is shown nowhere"


def test_models_that_differ_in_labels_only_are_trained_once(load_toy):
    def add_twin(work):
        work["models"]["toy-{eps}-{twin}"] = {**model(work), "foreach": {"eps": [4], "twin": ["a", "b"]}}

    catalogue = load_toy(add_twin)
    assert {catalogue.origins[f"toy-4-{twin}"] for twin in "ab"} == {"toy-4"}


def test_foreach_bindings_and_threat_models_become_labels(load_toy):
    catalogue = load_toy(lambda work: model(work).update(labels={"model": "PGD at {eps}"}))
    assert catalogue.evaluation_labels("toy", "attacks-8") == {
        "model": "PGD at 8",
        "dataset": "digits",
        "eps": 8,
    }
    labels = catalogue.procedure_labels("toy", "attacks-8")
    assert [entry["steps"] for entry in labels.values()] == [1, 5]
    assert labels["pgd-5"]["norm"] == "linf"
    assert labels["pgd-5"]["radius"] == pytest.approx(8 / 255)


def test_presets_are_inserted_at_the_scale_and_changed_by_the_keys_beside_them(load_toy):
    preset = {"quick": {"demo": {"epochs": 3}, "full": {"epochs": 7, "batch_size": 10}}}
    beside = {"preset": "quick", "batch_size": 5, "optimizer": {"name": "sgd", "lr": 0.1}}
    catalogue = load_toy(lambda work: model(work).update(training=beside), presets=preset, scale="small")
    training = catalogue.models["toy-4"].training
    assert (training.epochs, training.batch_size) == (7, 5)


def test_chapters_share_their_models_and_refuse_a_name_twice(load_toy, toy_chapter):
    further = {"evaluations": {"more": {**evaluation(toy_chapter), "model": "toy-4"}}}
    del further["evaluations"]["more"]["foreach"]
    work = load_toy(chapters={"further": further}).works["toy"]
    assert list(work.chapters) == ["attacks", "further"]
    assert work.chapter_of("evaluations", "more") == "further"
    with pytest.raises(ConfigurationError, match="another chapter") as caught:
        load_toy(chapters={"further": {"models": toy_chapter["models"]}})
    assert caught.value.file.name == "further.yaml"


def test_identical_models_are_trained_once(load_toy):
    def add_twin(work):
        work["models"]["twin"] = {
            key: value for key, value in work["models"]["toy-{eps}"].items() if key != "foreach"
        }
        work["models"]["twin"] = yaml.safe_load(yaml.safe_dump(work["models"]["twin"]).replace("{eps}", "4"))

    catalogue = load_toy(add_twin)
    assert catalogue.origins["twin"] == "toy-4"
    assert catalogue.origins["toy-8"] == "toy-8"


def test_replicates_are_different_models(load_toy):
    def replicate(work):
        work["models"]["toy-{eps}"]["foreach"] = {"eps": [4, 8], "r": [0, 1]}
        work["models"]["toy-{eps}-{r}"] = {**work["models"].pop("toy-{eps}"), "replicate": "{r}"}
        work["evaluations"]["attacks-{eps}"]["model"] = "toy-{eps}-0"

    catalogue = load_toy(replicate)
    seeds = [catalogue.model_specification(f"toy-4-{r}")["seed"] for r in (0, 1)]
    assert seeds == [0, 1]
    assert len(set(catalogue.origins.values())) == 4


def procedure(work):
    return work["evaluations"]["attacks-{eps}"]["procedures"]["pgd-{steps}"]


def evaluation(work):
    return work["evaluations"]["attacks-{eps}"]


def model(work):
    return work["models"]["toy-{eps}"]


MISTAKES = {
    "an unknown key": (
        lambda work: evaluation(work).update(smaples={}),
        "unknown key",
        "evaluations.attacks-4.smaples",
        "smaples",
        "samples",
    ),
    "an unknown top-level section": (
        lambda work: work.update(artifacts={}),
        "unknown key",
        "artifacts",
        "artifacts",
        "artefacts",
    ),
    "an unknown procedure": (
        lambda work: procedure(work).update(name="first_ordr"),
        "unknown procedure",
        "evaluations.attacks-4.procedures.pgd-1.name",
        "first_ordr",
        "pgd",
    ),
    "an unknown setting of a procedure": (
        lambda work: procedure(work).update(stepsize=1),
        "unknown setting",
        "evaluations.attacks-4.procedures.pgd-1.stepsize",
        "stepsize",
        "step_size",
    ),
    "an unknown data set": (
        lambda work: model(work).update(dataset="cifar"),
        "unknown data set",
        "models.toy-4.dataset",
        "cifar",
        "cifar10",
    ),
    "an unknown model": (
        lambda work: evaluation(work).update(model="toys-{eps}"),
        "unknown model",
        "evaluations.attacks-4.model",
        "toys-4",
        "toy-4",
    ),
    "a value by scale without the largest": (
        lambda work: model(work)["training"].update(epochs={"demo": 1, "small": 2}),
        "lacks full",
        "models.toy-{eps}.training.epochs",
        "demo, small",
        "demo, small, full",
    ),
    "an unknown preset": (
        lambda work: model(work).update(training={"preset": "quick", "epochs": 1}),
        "unknown preset",
        "models.toy-{eps}.training",
        "quick",
        "",
    ),
    "a label that means two things in one row": (
        lambda work: procedure(work).update(labels={"eps": 9}),
        "the label eps has one value",
        "evaluations.attacks-4.procedures.pgd-1",
        "4 and 9",
        "another name",
    ),
    "a label with the name of a column": (
        lambda work: evaluation(work).update(labels={"target": 1}),
        "name of a column",
        "evaluations.attacks-4.procedures.pgd-1",
        "target",
        "not ",
    ),
    "a radius that is not a number": (
        lambda work: procedure(work).update(eps="8/255th"),
        "unusable setting",
        "evaluations.attacks-4.procedures.pgd-1.eps",
        "'8/255th'",
        "number",
    ),
    "a radius that is not positive": (
        lambda work: procedure(work).update(eps=-1),
        "unusable setting",
        "evaluations.attacks-4.procedures.pgd-1.eps",
        "-1",
        "greater than 0",
    ),
    "a mistake inside a defence's attack": (
        lambda work: model(work)["defence"]["attack"].update(norm="l7"),
        "unusable setting",
        "models.toy-4.defence.attack.norm",
        "'l7'",
        "'linf'",
    ),
    "an unknown split": (
        lambda work: evaluation(work)["samples"].update(split="validation"),
        "no such split",
        "evaluations.attacks-4.samples.split",
        "validation",
        "test",
    ),
    "a name that foreach makes twice": (
        lambda work: work["models"].update(same={**model(work)}),
        "duplicate name",
        "models.same",
        "same",
        "foreach",
    ),
    "an unknown placeholder": (
        lambda work: procedure(work).update(eps="{epsilon}/255"),
        "unknown placeholder",
        "evaluations.attacks-4.procedures.pgd-1.eps",
        "{epsilon}",
        "foreach",
    ),
    "an artefact that names a missing evaluation": (
        lambda work: work.update(
            artefacts={"table-1": {"title": "t", "make": "table_1", "evaluations": ["attack-4"]}}
        ),
        "no such evaluation",
        "artefacts.table-1.evaluations",
        "attack-4",
        "attacks-4",
    ),
    "an artefact whose name does not say its kind": (
        lambda work: work.update(artefacts={"tabel-1": {"title": "t", "make": "table_1"}}),
        "says its kind",
        "artefacts.tabel-1",
        None,
        "table-",
    ),
    "an artefact without a function": (
        lambda work: work.update(artefacts={"table-1": {"title": "t", "make": "table_one"}}),
        "no such function",
        "artefacts.table-1",
        "table_one",
        "",
    ),
    "published numbers that are not there": (
        lambda work: work.update(
            artefacts={"table-1": {"title": "t", "make": "table_1", "published": ["t1.csv"]}}
        ),
        "no such file of published numbers",
        "artefacts.table-1.published",
        "t1.csv",
        "published",
    ),
    "a model with neither training nor checkpoint": (
        lambda work: model(work).pop("training"),
        "cannot be used",
        "models.toy-4",
        None,
        "a training, a checkpoint, or both",
    ),
    "true in place of a number": (
        lambda work: procedure(work).update(steps=True),
        "unusable setting",
        "evaluations.attacks-4.procedures.pgd-1.steps",
        "true or false",
        "a number",
    ),
    "true in place of a number of a training": (
        lambda work: model(work)["training"]["optimizer"].update(lr=True),
        "cannot be used",
        "models.toy-4.training.optimizer.lr",
        "true or false",
        "a number",
    ),
    "an emptied count": (
        lambda work: evaluation(work)["samples"].update(count=None),
        "cannot be used",
        "evaluations.attacks-4.samples.count",
        "None",
        "a number, or all",
    ),
    "an emptied list of a foreach": (
        lambda work: evaluation(work)["foreach"].update(eps=[]),
        "an empty list makes no entry",
        "evaluations.attacks-{eps}.foreach.eps",
        "[]",
        "none, where no entry is meant",
    ),
    "a radius in 0 to 255": (
        lambda work: procedure(work).update(eps=8),
        "never that large in linf",
        "evaluations.attacks-4.procedures.pgd-1.eps",
        8.0,
        "8/255",
    ),
    "a radius of a defence in 0 to 255": (
        lambda work: model(work)["defence"]["attack"].update(eps=8),
        "never that large in linf",
        "models.toy-4.defence.attack.eps",
        8.0,
        "1 at most",
    ),
    "a number that is too large to be meant": (
        lambda work: evaluation(work).update(chunk=10**300),
        "cannot be used",
        "evaluations.attacks-4.chunk",
        None,
        "less than or equal to",
    ),
    "published numbers outside of their folder": (
        lambda work: work.update(
            artefacts={"table-1": {"title": "t", "make": "table_1", "published": ["../../../README.md"]}}
        ),
        "cannot be used",
        "artefacts.table-1.published.0",
        "'../../../README.md'",
        "no ..",
    ),
}

FOOLBOX = {
    "steps": [0, -3, True, "many", 2.5],
    "stepsize": [-8 / 255, 0, float("inf"), True],
    "abort_early": [1, "yes"],
    "confidence": [-1],
}


@pytest.mark.parametrize(
    ("setting", "value"), [(setting, value) for setting, values in FOOLBOX.items() for value in values]
)
def test_a_setting_of_foolbox_is_checked_by_its_range(load_toy, setting, value):
    def change(work):
        settings = {"steps": 10, "stepsize": 0.01, setting: value}
        work["evaluations"]["attacks-{eps}"]["procedures"] = {
            "cw": {"name": "foolbox", "attack": "carlini_wagner_l2", "settings": settings}
        }

    with pytest.raises(ConfigurationError, match="cannot be used") as caught:
        load_toy(change)
    assert caught.value.key == f"evaluations.attacks-4.procedures.cw.settings.{setting}"


def test_all_images_are_asked_for_by_a_word_and_no_entries_too(load_toy):
    def change(work):
        evaluation(work)["samples"]["count"] = "all"
        procedure(work)["foreach"]["steps"] = {"demo": "none", "full": [1]}
        evaluation(work)["procedures"]["clean"] = {"name": "clean"}

    entry = load_toy(change).evaluation("toy", "attacks-4")
    assert entry.samples.count is None
    assert list(entry.procedures) == ["clean"]


@pytest.fixture
def load_claim(load_toy, monkeypatch):
    """Load the toy with a claim that has these settings, whose check reads ``points`` and may read ``unit``."""
    references = "gauntlet.configuration.references"
    monkeypatch.setattr(f"{references}._functions_of", lambda *names: {"better": frozenset({"points"})})
    monkeypatch.setattr(f"{references}._words_of", lambda work: frozenset({"points", "unit"}))
    return lambda settings: load_toy(
        lambda work: work.update(claims={"better": {"statement": "s", "settings": settings}})
    )


@pytest.mark.parametrize(
    ("settings", "problem", "key"),
    [
        ({"points": 1, "unti": 2}, "unknown setting", "claims.better.settings"),
        ({"unit": 2}, "a setting is missing", "claims.better.settings.points"),
        ({"points": float("inf")}, "cannot be used", "claims.better.settings.points"),
        ({"points": {"mnist": ["1e400"]}}, "cannot be used", "claims.better.settings.points.mnist[0]"),
    ],
)
def test_the_settings_of_a_claim_are_checked_before_any_job(load_claim, settings, problem, key):
    load_claim({"points": 1})
    load_claim({"points": "8/255", "unit": 2})
    with pytest.raises(ConfigurationError, match=problem) as caught:
        load_claim(settings)
    assert caught.value.key == key


def test_a_mistake_at_another_scale_is_found_once_and_again_after_a_change(load_toy, tmp_path):
    load_toy(lambda work: model(work)["training"].update(epochs={"demo": 1, "full": "many"}))
    memory = tmp_path / ".snakemake" / "checked"
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="at scale small") as caught:
            check_every_scale(tmp_path, {"scale": "demo"}, memory)
        assert caught.value.key == "models.toy-4.training.epochs"
    load_toy()
    check_every_scale(tmp_path, {"scale": "demo"}, memory)
    checked = memory.stat().st_mtime_ns
    check_every_scale(tmp_path, {"scale": "demo"}, memory)
    assert memory.stat().st_mtime_ns == checked
    load_toy(lambda work: model(work)["training"].update(epochs={"demo": 1, "full": "many"}))
    with pytest.raises(ConfigurationError, match="at scale small"):
        check_every_scale(tmp_path, {"scale": "demo"}, memory)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_file_key_and_what_is_valid(load_toy, tmp_path, mistake):
    change, problem, key, found, valid = MISTAKES[mistake]
    with pytest.raises(ConfigurationError, match=problem) as caught:
        load_toy(change)
    assert caught.value.file == tmp_path / "works" / "toy" / "attacks.yaml"
    assert caught.value.key == key
    assert found is None or caught.value.found == found
    assert valid in (caught.value.valid or "")


@pytest.mark.parametrize(
    ("overrides", "problem", "key", "valid"),
    [
        ({"scale": "tiny"}, "unknown scale", "scale", "demo, small, full"),
        ({"works": "toyy"}, "unknown work", "works", "did you mean toy"),
        ({"data_root": "/nowhere/at/all"}, "does not exist", "data_root", "an existing folder"),
        ({"sede": 1}, "unknown key", "sede", "did you mean seed"),
        ({"device": "gpu"}, "cannot be used", "device", "pattern"),
    ],
)
def test_a_wrong_user_setting_is_named(load_toy, overrides, problem, key, valid):
    with pytest.raises(ConfigurationError, match=problem) as caught:
        load_toy(**overrides)
    assert caught.value.key == key
    assert valid in caught.value.valid


def test_two_works_may_not_describe_different_models_under_one_name(load_toy, toy_chapter, tmp_path):
    load_toy()
    other = copy.deepcopy(toy_chapter)
    model(other)["training"]["epochs"] = 9
    zoo = tmp_path / "works" / "zoo"
    zoo.mkdir()
    (zoo / "work.yaml").write_text((tmp_path / "works" / "toy" / "work.yaml").read_text())
    (zoo / "attacks.yaml").write_text(yaml.safe_dump(other))
    with pytest.raises(ConfigurationError, match="another work") as caught:
        load_catalogue(tmp_path, {"scale": "demo"})
    assert caught.value.key == "models.toy-4"


def test_the_command_line_prints_the_message_without_a_traceback(load_toy, tmp_path, capsys):
    with pytest.raises(ConfigurationError):
        load_toy(lambda work: procedure(work).update(name="nonsense"))
    assert main(["--folder", str(tmp_path), "list", "--config", "scale=demo"]) == 1
    message = capsys.readouterr().err
    assert "unknown procedure" in message
    assert "attacks.yaml" in message
    assert "Traceback" not in message


@pytest.mark.parametrize("scale", ["demo", "small", "full"])
def test_the_project_s_own_configuration_is_valid_at_every_scale(scale):
    catalogue = load_catalogue(CONFIG, {"scale": scale})
    for name, work in catalogue.works.items():
        for evaluation_name in work.content.evaluations:
            assert catalogue.evaluation_specification(name, evaluation_name)["procedures"]


def test_a_second_pool_must_have_the_shape_and_classes_of_the_own_images(load_toy):
    def pooled(dataset):
        def change(chapter):
            chapter["models"]["toy-{eps}"]["dataset"] = "cifar10"
            chapter["models"]["toy-{eps}"]["training"]["second_pool"] = {"dataset": dataset}

        return change

    entry = load_toy(pooled("cifar10-pseudo-labelled")).models["toy-4"]
    assert entry.learned_splits() == [
        ("cifar10", "train"),
        ("cifar10", "test"),
        ("cifar10-pseudo-labelled", "train"),
    ]
    for other in ("cifar100", "mnist", "nowhere"):
        with pytest.raises(ConfigurationError, match="shape and classes") as error:
            load_toy(pooled(other))
        assert error.value.key == "models.toy-4.training.second_pool.dataset"


def test_an_evaluation_may_ask_for_the_last_weights(load_toy):
    def last(chapter):
        chapter["evaluations"]["attacks-{eps}"]["weights"] = "last"

    assert load_toy(last).evaluation_specification("toy", "attacks-4")["weights"] == "last"
    assert "weights" not in load_toy().evaluation_specification("toy", "attacks-4")
