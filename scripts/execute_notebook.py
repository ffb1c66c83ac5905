"""Execute the notebook of one work into its page. A Snakemake script: see rules/reports.smk."""

from pathlib import Path

from gauntlet.runtime.job import job

with job(snakemake):
    from gauntlet.reporting.notebooks import execute_notebook

    page = Path(snakemake.output[0])
    execute_notebook(
        Path(str(snakemake.input.notebook)),
        page,
        work=snakemake.wildcards.work,
        scale=snakemake.wildcards.scale,
        reports=page.parents[2],
    )
