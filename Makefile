# imagegate: every target sets up what it needs; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SAM := .venv-sam/bin/sam

.PHONY: help setup demo sandbox test check format lint types deploy build clean lock

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.ready ## Make .venv with the locked dependencies

# uv installs the rest from the lock: seconds instead of minutes.
$(VENV)/.uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' \
		|| { echo "imagegate needs Python 3.11 to 3.14; $$($(PYTHON) --version) is $(PYTHON). Set PYTHON=/path/to/python3." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "Python's venv module is incomplete; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(VENV)/.ready: $(VENV)/.uv requirements/dev.txt pyproject.toml
	@echo "Setting up $(VENV) …"
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r requirements/dev.txt
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# aws-sam-cli pins its own versions of what we use: it lives apart.
$(SAM): $(VENV)/.uv requirements/sam.txt
	@echo "Setting up .venv-sam …"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-sam
	@VIRTUAL_ENV=.venv-sam $(BIN)/uv pip install --quiet --require-hashes -r requirements/sam.txt
	@touch $@
