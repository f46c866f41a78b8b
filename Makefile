# SPDX-License-Identifier: Apache-2.0
# Every target does its own set-up; the second time that costs nothing.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
SYSTEM_PROGRAMS := git bwrap
SYSTEM_PACKAGES := git bubblewrap
# A repository to work on, folder or Git URL, and further arguments for `enchanted up`.
REPO ?=
UP_ARGS ?=

# No build isolation: what builds a source distribution is pinned with hashes too, in requirements/build.txt.
INSTALL := $(BIN)/python -m pip install --quiet --no-build-isolation
PIP_COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --upgrade --generate-hashes \
	--allow-unsafe --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.PHONY: help setup up test soak lint bench proto lock clean

help: ## List what can be made.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | while IFS= read -r line; do \
		printf '  make %-8s %s\n' "$${line%%:*}" "$${line#*## }"; \
	done

# The environment: made once, and again when what it is made from changes.
$(STAMP): requirements/build.txt requirements/lock.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "Python 3.11 or newer is needed: install it, or name it: make PYTHON=/path/to/python3"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) \
		|| { echo "Python's venv module is needed: apt-get install python3-venv"; exit 1; }
	@echo "Setting up $(VENV) (once, a minute or two)"
	@$(INSTALL) --require-hashes --requirement requirements/build.txt
	@$(INSTALL) --require-hashes --requirement requirements/lock.txt
	@$(INSTALL) --no-deps --editable .
	@touch $@

setup: $(STAMP) ## Make the environment in .venv, and install git and bubblewrap where it can.
	@missing=; for program in $(SYSTEM_PROGRAMS); do command -v $$program >/dev/null || missing=1; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing $(SYSTEM_PACKAGES)"; \
		export DEBIAN_FRONTEND=noninteractive; \
		if { apt-get update && apt-get install --yes --no-install-recommends $(SYSTEM_PACKAGES); } \
			>$(VENV)/apt-get.log 2>&1; then exit 0; fi; \
		echo "apt-get could not install $(SYSTEM_PACKAGES), see $(VENV)/apt-get.log"; \
	else \
		echo "git or bubblewrap is missing: install both, for instance: sudo apt-get install $(SYSTEM_PACKAGES)"; \
	fi

up: setup ## Start the platform and run the main job; REPO=path-or-url, UP_ARGS="--exit".
	@trap : INT; code=0; $(BIN)/enchanted up $(if $(REPO),--repo "$(REPO)") $(UP_ARGS) || code=$$?; \
	if [ $$code != 130 ]; then exit $$code; fi # 130: stopped by Ctrl-C, which is no failure to report

test: setup ## Run the tests, but for the long ones and those that need other programs.
	@$(BIN)/python -m pytest tests --numprocesses 2 --dist loadfile -m "not soak and not peers"

soak: setup ## Run the long tests: real projects, downloaded.
	@$(BIN)/python -m pytest tests -m soak

lint: setup ## Check style, types, layers, house rules and generated code.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tests.house_rules
	@$(BIN)/python proto/generate.py --check

bench: setup ## Run the benchmarks; each prints a ratio to a peer or a limit.
	@$(BIN)/python -m pytest tests/benchmarks --capture=no

proto: setup ## Make services/enchanted/generated from proto/.
	@$(BIN)/python proto/generate.py

lock: setup ## Pin the newest versions that pyproject.toml allows, with hashes.
	@$(PIP_COMPILE) --only-build-deps --build-deps-for editable --output-file requirements/build.txt pyproject.toml
	@$(PIP_COMPILE) --all-extras --output-file requirements/lock.txt pyproject.toml

clean: ## Remove what was made; the platform's data stays.
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@rm -rf services/enchanted.egg-info
	@find services tests proto -name __pycache__ -type d -prune -exec rm -rf {} +
