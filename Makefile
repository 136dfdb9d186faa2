# One verb per line; each prepares .venv by itself and is quick when there is nothing to do.
DRIVER ?= local
BACKEND ?=
PROFILE ?= smoke
SEED ?= 1
OUT ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help backends certify test acceptance acceptance-subset lint lint-mypy lint-pyright bench docs clean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile

$(STAMP): pyproject.toml constraints.txt tools/prepare
	@tools/prepare $(VENV)

backends: $(STAMP)  ## install what the servers need and build their container images
	@$(BIN)/holdfast backends build

certify: $(STAMP)  ## certify DRIVER (default: local) under PROFILE (default: smoke)
	@$(BIN)/holdfast certify $(DRIVER) $(if $(BACKEND),--backend $(BACKEND)) --profile $(PROFILE) --seed $(SEED) $(if $(OUT),--out $(OUT))

test: $(STAMP)  ## run every test
	@# Thousands of programs are started: compiled once, whatever the environment says.
	@PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX=$(CURDIR)/$(VENV)/pycache $(BIN)/python -m pytest -n 4 --dist worksteal $(ARGS)

acceptance: $(STAMP)  ## run the third-party suites against every server, in full
	@$(BIN)/python tools/acceptance $(ARGS)

acceptance-subset: $(STAMP)  ## at most three minutes of the same
	@$(BIN)/python tools/acceptance --subset $(ARGS)

lint: $(STAMP)  ## ruff, mypy, pyright, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint-mypy lint-pyright

lint-mypy: $(STAMP)
	@$(BIN)/mypy

lint-pyright: $(STAMP)
	@$(BIN)/pyright

bench: $(STAMP)  ## what a durable operation and a generated plan cost here
	@PYTHONPATH=. $(BIN)/python -P -m benchmarks $(ARGS)

docs: $(STAMP)  ## write the generated tables and diagrams into docs/
	@$(BIN)/python tools/docs

clean:  ## remove .venv, reports and caches
	@rm -rf $(VENV) holdfast-report dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
