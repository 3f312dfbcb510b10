# make demo · make test · make test-slow · make lint · make docs · make bench
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint docs bench setup

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## make .venv and install everything (redone only when pyproject.toml or constraints.txt changed)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "scr needs Python 3.11 or newer, found $$($(PYTHON) --version 2>&1); run: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing; install it (Debian/Ubuntu: apt-get install python3-venv) and run make again" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[offline]' --group dev
	@touch $@

demo: $(READY) ## the main job on the built-in model
	@$(BIN)/python -m scr.demo

test: $(READY) ## the test suite
	$(BIN)/python -m pytest -q

test-slow: $(READY) ## the tests that take minutes
	$(BIN)/python -m pytest -q -m slow

lint: $(READY) ## ruff, mypy and the README's generated parts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/cog --check README.md

docs: $(READY) ## write the README's generated parts
	$(BIN)/cog -r README.md

bench: $(READY) ## the measurements behind the README's figures
	$(BIN)/python -m scr.pocket.evaluate
	$(BIN)/python -m eval.benchmarks.main_job
	$(BIN)/python -m eval.benchmarks.cold_start
