"""Reports: verdicts on each work's claims, a page per work, and the index of a scale."""


def claim_specifications(wildcards):
    """Every claim with what it is checked on, and why it cannot be where something is missing."""
    scale, work = wildcards.scale, wildcards.work
    claims = []
    for name, entry in catalogue(scale).works[work].content.claims.items():
        missing = available(scale).reason(work, entry)
        claims.append(
            {**claim_specification(catalogue(scale), work, name), "missing": missing}
        )
    return compact_json({"claims": claims})


def claim_inputs(wildcards):
    scale, work = wildcards.scale, wildcards.work
    files = [
        file
        for entry in catalogue(scale).works[work].content.claims.values()
        if not available(scale).reason(work, entry)
        for file in source_files(scale, work, entry)
    ]
    return sorted(set(map(str, files)))


def makeable(scale, work):
    """The artefacts of a work that can be made here."""
    entries = catalogue(scale).works[work].content.artefacts
    return [
        name
        for name, entry in entries.items()
        if not available(scale).reason(work, entry)
    ]


def work_artefacts(wildcards):
    return [
        file
        for name in makeable(wildcards.scale, wildcards.work)
        for file in [
            *paths.artefact_files(wildcards.scale, wildcards.work, name),
            paths.artefact_meta(wildcards.scale, wildcards.work, name),
        ]
    ]


def everything_makeable(wildcards):
    """The index and, so that a removed file is made again, every artefact of every work."""
    scale = config["scale"]
    return [
        paths.index_page(scale),
        *(
            file
            for work in catalogue(scale).works
            for name in makeable(scale, work)
            for file in paths.artefact_files(scale, work, name)
        ),
    ]


def site_specification(wildcards):
    scale = wildcards.scale
    works = []
    for name, work in catalogue(scale).works.items():
        artefacts = [
            {
                "name": artefact,
                "kind": "figure" if paths.is_figure(artefact) else "table",
                "title": f"{paths.artefact_label(artefact)}: {entry.title}",
                "files": [
                    path.relative_to(paths.REPORTS / scale).as_posix()
                    for path in paths.artefact_files(scale, name, artefact)
                ],
                "meta": paths.artefact_meta(scale, name, artefact)
                .relative_to(paths.REPORTS / scale)
                .as_posix(),
                "missing": available(scale).reason(name, entry),
            }
            for artefact, entry in work.content.artefacts.items()
        ]
        works.append(
            {
                "name": name,
                "title": work.about.title,
                "document": work.about.document.model_dump(),
                "artefacts": artefacts,
                "claims": f"{name}/claims.csv",
                "page": f"{name}/index.html",
            }
        )
    return compact_json(
        {
            "scale": scale,
            "seed": config["seed"],
            "works": works,
            "missing": available(scale).missing(),
        }
    )


def site_inputs(wildcards):
    works = catalogue(wildcards.scale).works
    pages = [paths.work_page(wildcards.scale, work) for work in works]
    metas = [
        paths.artefact_meta(wildcards.scale, work, name)
        for work in works
        for name in makeable(wildcards.scale, work)
    ]
    return [
        *pages,
        *(paths.claims_file(wildcards.scale, work) for work in works),
        *metas,
    ]


rule check_claims:
    """Judge every claim of one work."""
    input:
        claim_inputs,
    output:
        csv=report(
            "reports/{scale}/{work}/claims.csv",
            caption="../reports/captions/claims.rst",
            category="{work}",
            subcategory="Verdicts",
            labels={"artefact": "verdicts", "scale": "{scale}"},
        ),
        md="reports/{scale}/{work}/claims.md",
    log:
        "logs/{scale}/claims/{work}.log",
    localrule: True
    params:
        spec=claim_specifications,
        code=code_of,
    message:
        "Checking the claims of {wildcards.work}"
    script:
        "../scripts/check_claims.py"


rule execute_notebook:
    """Write the page of one work from its notebook."""
    input:
        artefacts=work_artefacts,
        claims="reports/{scale}/{work}/claims.csv",
        notebook=lambda wildcards: NOTEBOOKS / f"{wildcards.work}.py",
    output:
        "reports/{scale}/{work}/index.html",
    log:
        "logs/{scale}/pages/{work}.log",
    localrule: True
    params:
        code=code_of,
    message:
        "Writing the page of {wildcards.work}"
    script:
        "../scripts/execute_notebook.py"


rule build_site:
    """Write the index of a scale."""
    input:
        site_inputs,
    output:
        "reports/{scale}/index.html",
    log:
        "logs/{scale}/site.log",
    localrule: True
    params:
        spec=site_specification,
        code=lambda wildcards: source_fingerprint("gauntlet.reporting"),
    message:
        "Building the site of scale {wildcards.scale}"
    script:
        "../scripts/build_site.py"
