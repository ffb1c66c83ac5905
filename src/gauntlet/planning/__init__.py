"""Plan of a run: its jobs and their cost, missing resources and the artefacts that these block."""
