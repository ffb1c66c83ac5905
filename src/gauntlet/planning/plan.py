"""Plan of a run: jobs still to do, their cost, missing resources and what these block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gauntlet.configuration import Catalogue, paths
from gauntlet.configuration.grammar import ArtefactEntry, ClaimEntry
from gauntlet.planning.availability import Available
from gauntlet.planning.cost import ASSUMED, Arithmetic, evaluation_work, split_size, training_work
from gauntlet.planning.resources import Resources, evaluation_resources, model_resources


@dataclass
class Plan:
    """A run before it starts.

    Attributes:
        trainings: arithmetic of each training that can be done and is not.
        in_place: models to train because their published weights cannot be had, with the arithmetic and the reason.
        imports: checkpoints to import.
        evaluations: arithmetic of each evaluation, by ``work/evaluation``.
        artefacts: number of artefacts that can be made.
        disk_bytes: estimate of what data sets, weights and tables will take.
        missing: resources that cannot be had, with the reason.
        blocked: artefacts and claims that cannot be made, by work and missing resource.
        complete: arithmetic of everything not done, if every data set and checkpoint could be had.
        overlong: hours that jobs ask a cluster for, where that is more than the longest run time of the settings.
        runs: how often a job reaches that run time, by its estimate, and goes on in another; only where it does.
    """

    trainings: dict[str, Arithmetic] = field(default_factory=dict)
    in_place: dict[str, tuple[Arithmetic, str]] = field(default_factory=dict)
    imports: list[str] = field(default_factory=list)
    evaluations: dict[str, Arithmetic] = field(default_factory=dict)
    artefacts: int = 0
    disk_bytes: float = 0.0
    missing: dict[str, str] = field(default_factory=dict)
    blocked: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    complete: dict[str, Arithmetic] = field(default_factory=dict)
    overlong: dict[str, float] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """Write the plan for a reader."""
        yield f"{len(self.trainings)} trainings: {hours(self.trainings.values())}"
        yield f"{len(self.imports)} checkpoints to import"
        yield f"{len(self.evaluations)} evaluations: {hours(self.evaluations.values())}"
        skipped = {
            (work, name) for work, by in self.blocked.items() for names in by.values() for name in names
        }
        yield f"{self.artefacts} artefacts can be made; {len(skipped)} artefacts and claims cannot"
        yield f"disk: about {self.disk_bytes / 2**30:.1f} GiB"
        if self.missing or self.in_place:
            yield f"with every data set and checkpoint at hand: {_counted(self.complete.values())}"
        yield ASSUMED
        costly = sorted((self.trainings | self.evaluations).items(), key=lambda item: -item[1].flops)[:10]
        if costly:
            yield ""
            yield "The costliest jobs:"
            yield from (f"  {name}: {hours([arithmetic])}" for name, arithmetic in costly)
        if self.overlong:
            yield ""
            yield "Asked of a cluster for longer than hours_per_job, as nothing would be saved in that time:"
            yield from (f"  {name}: {_duration(hours)}" for name, hours in self.overlong.items())
        if self.runs:
            most = max(self.runs, key=lambda name: self.runs[name])
            yield ""
            yield (
                f"On a cluster {len(self.runs)} jobs reach their time limit and go on in another try, {most} "
                f"{self.runs[most]} times: --retries {self.runs[most]} at least."
            )
        if self.in_place:
            yield ""
            yield "Trained in place of published weights:"
            for name, (arithmetic, reason) in self.in_place.items():
                yield f"  {name}: {hours([arithmetic])}; {reason}"
        if self.missing:
            yield ""
            yield "Missing here, and what is skipped for it (the report says so too):"
            for resource, reason in self.missing.items():
                yield f"  {resource}: {reason}"
                for work, by_resource in self.blocked.items():
                    if resource in by_resource:
                        yield f"    {work}: {', '.join(by_resource[resource])}"


def make_plan(catalogue: Catalogue, available: Available) -> Plan:
    """Work out the plan of a whole run at the catalogue's scale."""
    plan = Plan(missing=available.missing())
    in_place = available.trained_in_place()

    def note_time(job: str, resources: Resources) -> None:
        if resources.minutes > 60 * catalogue.settings.hours_per_job:
            plan.overlong[job] = resources.minutes / 60
        if resources.runs > 1:
            plan.runs[job] = resources.runs - 1

    for dataset, split in available.needed_splits():
        if available.splits[dataset, split] is None:
            channels, height, width = catalogue.datasets[dataset].shape
            plan.disk_bytes += channels * height * width * split_size(catalogue.datasets[dataset], split)
    for name in sorted(set(catalogue.origins.values())):
        if (paths.model_folder(catalogue.scale, name) / "manifest.json").is_file():
            continue
        if name in in_place:
            plan.in_place[name] = training_work(catalogue, name), in_place[name]
        if catalogue.models[name].checkpoint is None:
            plan.complete[name] = training_work(catalogue, name)
        if available.model(name):
            continue
        if available.imports(name):
            plan.imports.append(name)
        else:
            plan.trainings[name] = training_work(catalogue, name)
            note_time(name, model_resources(catalogue, name, imported=False))
    for work in catalogue.works.values():
        for name in work.content.evaluations:
            if paths.evaluation_file(catalogue.scale, work.name, name).is_file():
                continue
            arithmetic = evaluation_work(catalogue, work.name, name)
            plan.complete[f"{work.name}/{name}"] = arithmetic
            if not available.evaluation(work.name, name):
                plan.evaluations[f"{work.name}/{name}"] = arithmetic
                note_time(f"{work.name}/{name}", evaluation_resources(catalogue, work.name, name))
        entries: dict[str, ArtefactEntry | ClaimEntry] = {**work.content.artefacts, **work.content.claims}
        for name, entry in entries.items():
            lacks = available.lacking(work.name, entry)
            for resource in lacks:
                plan.blocked.setdefault(work.name, {}).setdefault(resource, []).append(name)
            if not lacks and name in work.content.artefacts:
                plan.artefacts += 1
    return plan


def _counted(jobs: Iterable[Arithmetic]) -> str:
    """Write how many trainings and evaluations there are, and what they take."""
    jobs = list(jobs)
    trainings = [job for job in jobs if job.training]
    evaluations = [job for job in jobs if not job.training]
    return f"{len(trainings)} trainings: {hours(trainings)}; {len(evaluations)} evaluations: {hours(evaluations)}"


def hours(jobs: Iterable[Arithmetic]) -> str:
    """Write what jobs take on one GPU, and on two CPU cores, from their arithmetic alone."""
    jobs = list(jobs)
    gpu, cpu = sum(job.gpu_hours for job in jobs), sum(job.cpu_hours for job in jobs)
    return f"about {_duration(gpu)} on a GPU, {_duration(cpu)} on two CPU cores"


def _duration(hours: float) -> str:
    if hours >= 48:
        return f"{hours / 24:.0f} days"
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"
