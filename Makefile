# The one command: `make demo`. Everything runs in .venv, which the first target makes.

SHELL := /bin/bash
PYTHON ?= python3
CORES ?= all
ENV := .venv
NEWEST := .venv-newest
RUN := $(ENV)/bin
SNAKEMAKE := $(RUN)/snakemake --cores $(CORES)

# Every rule but the download of a checkpoint: a report, and an evaluation in shards.
GRAPHED := --config scale=demo works=song shards=2 -- reports/demo/index.html results/small/evaluations/song/gaussian-0.25.parquet

# Jobs are many and short: without compiled files each would compile every library that it imports.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo small full test test-slurm test-newest graph lint format bench plan report clean

demo: $(ENV)/ready                ## every table and figure on embedded digits, in minutes
	$(SNAKEMAKE) --config scale=demo
	@echo "Open reports/demo/index.html"

small: $(ENV)/ready               ## every work on real data at reduced size; DATA=folder saves the downloads
	$(SNAKEMAKE) --config scale=small $(if $(DATA),data_root=$(DATA))

full: $(ENV)/ready                ## the reproduction at the published size
	$(SNAKEMAKE) --config scale=full $(if $(DATA),data_root=$(DATA))

test: $(ENV)/ready                ## unit and workflow tests
	$(RUN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

test-slurm: $(ENV)/ready          ## submit a demo work to a Slurm of its own; skipped where Slurm is not installed
	$(RUN)/python -m pytest tests/slurm

# Torch stays: results of another version differ in their last bits. Only what is held to the lock is left out.
test-newest:                      ## the tests with the newest versions that pyproject.toml allows, not those of the lock
	test -x $(NEWEST)/bin/python || $(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check "uv==0.13.8"
	VIRTUAL_ENV=$(CURDIR)/$(NEWEST) $(NEWEST)/bin/uv pip install --quiet --upgrade --editable ".[dev]"
	$(NEWEST)/bin/uv pip freeze --python $(NEWEST)/bin/python | grep --invert-match --line-regexp --file \
		<(grep -oE '^[a-z0-9._-]+==[^ ;]+' requirements.lock) || true
	$(NEWEST)/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal \
		--deselect tests/unit/test_environment.py::test_the_installed_environment_is_the_locked_one

graph: $(ENV)/ready               ## write docs/rule-graph.md from the rules
	{ sed '/^```mermaid/q' docs/rule-graph.md; \
	  PYTHONHASHSEED=0 $(SNAKEMAKE) --quiet all --rulegraph mermaid-js $(GRAPHED); echo '```'; } > docs/rule-graph.new
	mv docs/rule-graph.new docs/rule-graph.md

lint: $(ENV)/ready                ## what CI checks besides the tests
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/snakefmt --check Snakefile rules

format: $(ENV)/ready              ## bring the code into its form
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .
	$(RUN)/snakefmt Snakefile rules

bench: $(ENV)/ready               ## attacks against the bare passes they make
	for benchmark in benchmarks/[a-z]*.py; do echo "== $$benchmark"; $(RUN)/python $$benchmark || exit 1; done

plan: $(ENV)/ready                ## what a full reproduction takes, and what is missing here
	$(RUN)/gauntlet plan --config scale=full $(if $(DATA),data_root=$(DATA))

clean:                            ## remove everything generated but the environment
	rm -rf results logs .snakemake $(wildcard reports/demo reports/small reports/full)

# uv is installed into the environment itself, so that a machine needs nothing but Python.
$(ENV)/ready: requirements.lock pyproject.toml
	test -x $(RUN)/python || $(PYTHON) -m venv $(ENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check "uv==0.13.8"
	VIRTUAL_ENV=$(CURDIR)/$(ENV) $(RUN)/uv pip install --quiet --require-hashes -r requirements.lock
	VIRTUAL_ENV=$(CURDIR)/$(ENV) $(RUN)/uv pip install --quiet --no-deps --editable .
	$(RUN)/gauntlet schema > /dev/null
	touch $@
