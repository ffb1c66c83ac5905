"""What a run takes, what is missing, and what that blocks."""

from __future__ import annotations

import math

import pytest

from gauntlet.cli import main
from gauntlet.configuration import paths
from gauntlet.contracts import DEFENCES, PROCEDURES, Task
from gauntlet.planning import availability, hosts
from gauntlet.planning.availability import find_available
from gauntlet.planning.cost import evaluation_work, training_work
from gauntlet.planning.plan import make_plan
from gauntlet.planning.workflow import Workflow
from gauntlet.runtime.files import write_json


@pytest.fixture(autouse=True)
def _empty_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def answers(monkeypatch):
    """Decide which hosts answer."""

    def decide(answer):
        monkeypatch.setattr(
            availability, "reachable", lambda names, fresh=False: dict.fromkeys(names, answer)
        )

    return decide


def add_artefacts(work):
    """One table needs an evaluation, the other nothing."""
    work["artefacts"] = {
        "table-1": {"title": "needs data", "make": "table_1", "evaluations": ["attacks-4"]},
        "table-2": {"title": "needs nothing", "make": "table_1"},
    }


@pytest.fixture
def _any_function(monkeypatch):
    monkeypatch.setattr(
        "gauntlet.configuration.references._functions_of", lambda *names: {"table_1": frozenset()}
    )


@pytest.mark.usefixtures("_any_function")
def test_embedded_data_is_always_there(load_toy, answers):
    answers(False)
    catalogue = load_toy(add_artefacts)
    plan = make_plan(catalogue, find_available(catalogue))
    assert plan.missing == {}
    assert set(plan.trainings) == {"toy-4", "toy-8"}
    assert set(plan.evaluations) == {"toy/attacks-4", "toy/attacks-8"}
    assert plan.artefacts == 2


@pytest.mark.usefixtures("_any_function")
def test_an_unreachable_data_set_blocks_what_depends_on_it_and_nothing_else(load_toy, answers):
    answers(False)
    catalogue = load_toy(add_artefacts, scale="full")
    available = find_available(catalogue)
    plan = make_plan(catalogue, available)
    assert set(plan.missing) == {"mnist/train", "mnist/test"}
    assert plan.trainings == {} == plan.evaluations
    assert plan.blocked == {"toy": {"mnist/train": ["table-1"], "mnist/test": ["table-1"]}}
    assert "no answer from" in available.reason("toy", catalogue.artefact("toy", "table-1"))
    assert available.reason("toy", catalogue.artefact("toy", "table-2")) is None


@pytest.mark.usefixtures("_any_function")
def test_a_reachable_host_is_enough(load_toy, answers):
    answers(True)
    catalogue = load_toy(add_artefacts, scale="full")
    assert make_plan(catalogue, find_available(catalogue)).missing == {}


def test_what_was_made_before_needs_no_source(load_toy, answers):
    answers(False)
    catalogue = load_toy(scale="full")
    write_json(paths.model_folder("full", "toy-4") / "manifest.json", {})
    write_json(paths.split_folder("mnist", "test") / "manifest.json", {})
    available = find_available(catalogue)
    assert available.model("toy-4") == {}
    assert available.evaluation("toy", "attacks-4") == {}
    assert set(available.model("toy-8")) == {"mnist/train"}


def test_hosts_are_asked_once_and_their_answer_is_remembered(monkeypatch):
    asked = []
    monkeypatch.setattr(hosts, "_answers", lambda host: asked.append(host) or host == "good.example")
    for _ in range(2):
        assert hosts.reachable(["good.example", "bad.example"]) == {
            "good.example": True,
            "bad.example": False,
        }
    assert sorted(asked) == ["bad.example", "good.example"]
    hosts.reachable(["good.example"], fresh=True)
    assert len(asked) == 3


def test_the_cost_of_a_training_is_passes_times_operations(load_toy):
    one, two = load_toy(), load_toy(lambda work: work["models"]["toy-{eps}"]["training"].update(epochs=2))
    assert training_work(two, "toy-4").flops == pytest.approx(2 * training_work(one, "toy-4").flops)


def test_a_step_costs_a_forward_and_a_backward_pass_beside_the_one_that_measures(load_toy):
    def only(steps):
        def change(work):
            entry = work["evaluations"]["attacks-{eps}"]["procedures"].pop("pgd-{steps}")
            entry.pop("foreach")
            work["evaluations"]["attacks-{eps}"]["procedures"] = {"pgd": {**entry, "steps": steps}}

        return evaluation_work(load_toy(change), "toy", "attacks-4").flops

    assert only(5) / only(1) == pytest.approx((5 * 2 + 1) / (1 * 2 + 1))


def test_plan_and_list_print_what_can_be_made(load_toy, tmp_path, capsys, answers):
    answers(False)
    load_toy()
    assert main(["--folder", str(tmp_path), "plan", "--config", "scale=full"]) == 0
    printed = capsys.readouterr().out
    assert "mnist/train: " in printed
    assert "mnist/train" in printed
    assert main(["--folder", str(tmp_path), "list", "--config", "scale=demo"]) == 0
    assert "results/demo/models/toy-4/weights.safetensors" in capsys.readouterr().out


def test_a_setting_without_a_value_is_refused(load_toy, tmp_path, capsys):
    load_toy()
    assert main(["--folder", str(tmp_path), "plan", "--config", "scale"]) == 1
    assert "KEY=VALUE" in capsys.readouterr().err


def test_trades_on_a_wide_resnet_is_planned_at_a_few_hours_of_an_h100(load_toy):
    """WRN-34-10 has 6.66e9 multiplications per image: 76 epochs take an H100 about two and a half hours."""

    def trades(work):
        model = work["models"]["toy-{eps}"]
        model["dataset"] = "cifar10"
        model["architecture"] = {"name": "wide_resnet", "depth": 34, "width": 10}
        steps = {"eps": "{eps}/255", "steps": 10, "step_size": 0.007}
        model["defence"] = {"name": "trades", "strength": 6, "attack_precision": "training", **steps}
        model["training"]["epochs"] = 76

    planned = training_work(load_toy(trades, scale="full"), "toy-8")
    passes = (10 + 3) + (10 + 2) + 2
    assert planned.flops == pytest.approx(passes * 50_000 * 76 * 2 * 6.66e9, rel=0.02)
    assert 2 < planned.gpu_hours < 4


def test_an_attack_in_float32_and_a_watch_are_planned_at_their_own_speed(load_toy):
    """Ten steps of an attack take 21 of 24 passes; ten watched epochs of 1,000 images 22 passes each."""

    def change(precision, watch):
        def changed(work):
            model = work["models"]["toy-{eps}"]
            model["defence"]["attack"]["steps"] = 10
            model["defence"]["attack_precision"] = precision
            model["training"].update(epochs=10, samples=1000, watch=watch)

        return training_work(load_toy(changed, scale="full"), "toy-8")

    pgd = {"name": "pgd", "norm": "linf", "eps": 0.1, "steps": 10, "step_size": 0.01}
    fast, exact = change("training", {}), change("float32", {})
    watched = change("training", {"pgd": {"procedures": {"pgd": pgd}, "count": 1000}})
    assert fast.bfloat16 == fast.flops == exact.flops
    assert exact.bfloat16 == pytest.approx(3 / 24 * exact.flops)
    assert exact.gpu_hours > 4 * fast.gpu_hours
    assert watched.flops == pytest.approx(46 / 24 * fast.flops)
    assert watched.bfloat16 == fast.flops


def test_weights_cost_another_pass_back_and_attacks_do_not_need_them():
    task = Task((1, 28, 28), 10)
    assert DEFENCES.parse({"name": "natural"}).cost(task).passes == 3
    attack = {"name": "pgd", "norm": "linf", "eps": 0.1, "steps": 10, "step_size": 0.01}
    assert PROCEDURES.parse(attack).cost(task).passes == 10 * 2 + 1


def test_an_attack_on_every_class_costs_more_where_there_are_more_classes():
    fool = PROCEDURES.parse({"name": "foolbox", "attack": "deepfool_l2", "settings": {"candidates": None}})
    few, many = (fool.cost(Task((3, 32, 32), classes)).passes for classes in (10, 100))
    assert many > 9 * few


def publish_toy(work):
    """Give the toys published weights beside their recipe."""
    work["models"]["toy-{eps}"]["checkpoint"] = {
        "file": "toy-{eps}.pt",
        "page": "their page",
        "sha256": "0" * 64,
        "format": "torchvision",
    }


def test_published_weights_are_imported_where_they_are_here_and_else_trained_in_their_place(
    load_toy, tmp_path, answers
):
    answers(True)
    (tmp_path / "data" / "checkpoints").mkdir(parents=True)
    (tmp_path / "data" / "checkpoints" / "toy-4.pt").touch()
    workflow = Workflow(load_toy(publish_toy, data_root=str(tmp_path / "data")))
    plan = make_plan(workflow.catalogue, workflow.available)
    assert plan.imports == ["toy-4"]
    assert set(plan.trainings) == {"toy-8"}
    assert plan.in_place["toy-8"][0] == plan.trainings["toy-8"]
    assert "their page" in plan.in_place["toy-8"][1]
    assert plan.missing == {}
    assert set(plan.complete) == {"toy/attacks-4", "toy/attacks-8"}
    assert any(line.startswith("  toy-8: about") for line in plan.lines())
    assert workflow.training_images("toy-4", "train") == []
    assert workflow.training_images("toy-8", "train") == paths.split_files("digits", "train")
    imported, trained = (workflow.model_specification(name) for name in ("toy-4", "toy-8"))
    assert imported["training"] is None
    assert imported["checkpoint"]["file"] == "toy-4.pt"
    assert trained["checkpoint"] is None
    assert trained["training"]["epochs"] == 1
    assert trained["in_place_of"] == "toy-8.pt"


def test_a_model_imported_before_stays_so_and_one_trained_in_place_gives_way(load_toy, tmp_path, answers):
    answers(False)
    catalogue = load_toy(publish_toy)
    for name, checkpoint in (("toy-4", {"file": "toy-4.pt"}), ("toy-8", None)):
        manifest = {"specification": {"checkpoint": checkpoint}}
        write_json(paths.model_folder("demo", name) / "manifest.json", manifest)
    available = find_available(catalogue)
    assert available.imports("toy-4")
    assert not available.imports("toy-8")
    (tmp_path / "data" / "checkpoints").mkdir(parents=True)
    (tmp_path / "data" / "checkpoints" / "toy-8.pt").touch()
    assert find_available(load_toy(publish_toy, data_root=str(tmp_path / "data"))).imports("toy-8")


def test_an_import_needs_no_training_images(load_toy, tmp_path, answers):
    answers(False)
    (tmp_path / "data" / "checkpoints").mkdir(parents=True)
    for name in ("toy-4.pt", "toy-8.pt"):
        (tmp_path / "data" / "checkpoints" / name).touch()
    catalogue = load_toy(publish_toy, scale="full", data_root=str(tmp_path / "data"))
    assert set(find_available(catalogue).missing()) == {"mnist/test"}


def test_jobs_that_need_more_than_the_longest_run_time_are_named(load_toy, answers):
    answers(True)

    def endless(work):
        work["evaluations"]["attacks-{eps}"]["procedures"]["pgd-{steps}"]["foreach"]["steps"] = [10**8]

    catalogue = load_toy(endless, scale="full")
    plan = make_plan(catalogue, find_available(catalogue))
    assert set(plan.overlong) == {"toy/attacks-4", "toy/attacks-8"}
    assert min(plan.overlong.values()) > 24
    assert any("longer than hours_per_job" in line for line in plan.lines())


def test_the_plan_tells_how_often_the_longest_job_goes_on_after_its_time_limit(load_toy, answers):
    answers(True)
    catalogue = load_toy(scale="full")
    assert make_plan(catalogue, find_available(catalogue)).runs == {}

    def lengthen(work):
        entry = work["models"]["toy-{eps}"]
        entry["training"]["epochs"] = 30_000

    catalogue = load_toy(lengthen, scale="full")
    days = training_work(catalogue, "toy-8").gpu_hours / 24
    assert days > 2
    plan = make_plan(catalogue, find_available(catalogue))
    assert plan.runs["toy-8"] == math.ceil(days) - 1
    assert any(f"--retries {plan.runs['toy-8']}" in line for line in plan.lines())


def test_only_an_import_whose_weights_have_an_address_and_are_not_here_waits_for_a_download(
    load_toy, tmp_path, answers
):
    answers(True)
    (tmp_path / "data" / "checkpoints").mkdir(parents=True)
    (tmp_path / "data" / "checkpoints" / "toy-4.pt").touch()

    def with_address(work):
        publish_toy(work)
        work["models"]["toy-{eps}"]["checkpoint"]["url"] = "https://toys.example/toy-{eps}.pt"

    by_hand = Workflow(load_toy(publish_toy, data_root=str(tmp_path / "data")))
    assert [by_hand.downloaded_weights(name) for name in ("toy-4", "toy-8")] == [[], []]
    offered = Workflow(load_toy(with_address, data_root=str(tmp_path / "data")))
    assert offered.downloaded_weights("toy-4") == []
    assert offered.downloaded_weights("toy-8") == [paths.DOWNLOADS / "checkpoints" / "toy-8.pt"]
    assert offered.download_specification("toy-8.pt")["url"] == "https://toys.example/toy-8.pt"
    answers(False)
    offline = Workflow(load_toy(with_address, data_root=str(tmp_path / "data")))
    assert offline.downloaded_weights("toy-8") == []
