"""Artefacts: each table and figure is a pure function of evaluations, histories, images and published numbers."""


def artefact_title(wildcards):
    entry = ask(wildcards.scale, "artefact", wildcards.work, wildcards.artefact)
    return paths.artefact_title(wildcards.artefact, entry.title)


def code_of(wildcards):
    """Identifies the code that draws: artefacts are cheap, so they follow every change of it."""
    return source_fingerprint(
        "gauntlet.analysis", "gauntlet.reporting", f"gauntlet.works.{wildcards.work}"
    )


rule make_table:
    """Make one table."""
    input:
        files("artefact_inputs", "work", "artefact"),
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
        spec=specification("artefact_specification", "work", "artefact"),
        code=code_of,
        title=artefact_title,
    message:
        "Making {wildcards.artefact} of {wildcards.work}"
    script:
        "../scripts/make_artefact.py"


rule make_figure:
    """Make one figure, with the numbers it was drawn from."""
    input:
        files("artefact_inputs", "work", "artefact"),
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
        spec=specification("artefact_specification", "work", "artefact"),
        code=code_of,
        title=artefact_title,
    message:
        "Drawing {wildcards.artefact} of {wildcards.work}"
    script:
        "../scripts/make_artefact.py"
