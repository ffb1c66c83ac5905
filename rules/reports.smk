"""Reports: verdicts on each work's claims, a page per work, and the index of a scale."""


rule check_claims:
    """Judge every claim of one work."""
    input:
        files("claim_inputs", "work"),
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
        spec=specification("claim_specifications", "work"),
        code=code_of,
    message:
        "Checking the claims of {wildcards.work}"
    script:
        "../scripts/check_claims.py"


rule execute_notebook:
    """Write the page of one work from its notebook."""
    input:
        artefacts=files("work_artefacts", "work"),
        claims="reports/{scale}/{work}/claims.csv",
        notebook=lambda wildcards: NOTEBOOKS / f"{wildcards.work}.py",
    output:
        "reports/{scale}/{work}/index.html",
    log:
        "logs/{scale}/pages/{work}.log",
    localrule: True
    params:
        artefacts=specification("makeable", "work"),
        code=code_of,
    message:
        "Writing the page of {wildcards.work}"
    script:
        "../scripts/execute_notebook.py"


rule build_site:
    """Write the index of a scale."""
    input:
        files("site_inputs"),
    output:
        "reports/{scale}/index.html",
        directory("reports/{scale}/thumbnails"),
    log:
        "logs/{scale}/site.log",
    localrule: True
    params:
        spec=specification("site_specification"),
        code=lambda wildcards: source_fingerprint("gauntlet.reporting"),
    message:
        "Building the site of scale {wildcards.scale}"
    script:
        "../scripts/build_site.py"
