"""Artefacts: each table and figure is a pure function of evaluations, histories, images and published numbers."""


def artefact_entry(wildcards):
    at_scale = catalogue(wildcards.scale)
    if wildcards.work not in at_scale.works:
        raise WorkflowError(
            f"no work is named {wildcards.work}; there are {', '.join(at_scale.works)}"
        )
    artefacts = at_scale.works[wildcards.work].content.artefacts
    if wildcards.artefact not in artefacts:
        raise WorkflowError(
            f"{wildcards.work} has no artefact named {wildcards.artefact}; gauntlet list names them all"
        )
    return artefacts[wildcards.artefact]


def source_files(scale, work, entry):
    at_scale = catalogue(scale)
    found = evidence(at_scale, work, entry)
    return [
        *(each["file"] for each in found["evaluations"].values()),
        *(file for name in found["models"] for file in model_files(scale, name)),
        *(
            file
            for split in found["datasets"]
            for file in split_files(*split.split("/"))
        ),
        *found["published"],
    ]


def artefact_inputs(wildcards):
    return source_files(wildcards.scale, wildcards.work, artefact_entry(wildcards))


def artefact_spec(wildcards):
    artefact_entry(wildcards)
    return compact_json(
        artefact_specification(
            catalogue(wildcards.scale), wildcards.work, wildcards.artefact
        )
    )


def artefact_title(wildcards):
    entry = artefact_entry(wildcards)
    return f"{paths.artefact_label(wildcards.artefact)}: {entry.title}"


def code_of(wildcards):
    """Identifies the code that draws: artefacts are cheap, so they follow every change of it."""
    return source_fingerprint("gauntlet.reporting", f"gauntlet.works.{wildcards.work}")


rule make_table:
    """Make one table."""
    input:
        artefact_inputs,
    output:
        csv=report(
            "reports/{scale}/{work}/{artefact}.csv",
            caption="../reports/captions/table.rst",
            category="{work}",
            subcategory="Tables",
            labels={"artefact": "{artefact}", "scale": "{scale}"},
        ),
        md="reports/{scale}/{work}/{artefact}.md",
        tex="reports/{scale}/{work}/{artefact}.tex",
        meta="reports/{scale}/{work}/{artefact}.json",
    log:
        "logs/{scale}/artefacts/{work}/{artefact}.log",
    wildcard_constraints:
        artefact="table-[a-z0-9.-]+",
    localrule: True
    params:
        spec=artefact_spec,
        code=code_of,
        title=artefact_title,
    message:
        "Making {wildcards.artefact} of {wildcards.work}"
    script:
        "../scripts/make_artefact.py"


rule make_figure:
    """Make one figure, with the numbers it was drawn from."""
    input:
        artefact_inputs,
    output:
        csv="reports/{scale}/{work}/{artefact}.csv",
        pdf="reports/{scale}/{work}/{artefact}.pdf",
        svg=report(
            "reports/{scale}/{work}/{artefact}.svg",
            caption="../reports/captions/figure.rst",
            category="{work}",
            subcategory="Figures",
            labels={"artefact": "{artefact}", "scale": "{scale}"},
        ),
        png="reports/{scale}/{work}/{artefact}.png",
        meta="reports/{scale}/{work}/{artefact}.json",
    log:
        "logs/{scale}/artefacts/{work}/{artefact}.log",
    wildcard_constraints:
        artefact="figure-[a-z0-9.-]+",
    localrule: True
    params:
        spec=artefact_spec,
        code=code_of,
        title=artefact_title,
    message:
        "Drawing {wildcards.artefact} of {wildcards.work}"
    script:
        "../scripts/make_artefact.py"
