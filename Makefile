# Every target prepares what it needs; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Each process that a test starts would compile the whole program anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: browser help demo demo-check test test-long lint format bench docs lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "walletsvc needs Python 3.11 or newer: set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(RUN): $(VENV)/.created requirements.lock pyproject.toml
	@echo "Installing packages into $(VENV) (about a minute, once)"
	$(PIP_INSTALL) --require-hashes --requirement requirements.lock
	$(PIP_INSTALL) --no-deps --editable .
	@touch $@

$(DEV): $(VENV)/.created requirements-dev.lock pyproject.toml
	@echo "Installing packages into $(VENV) (about a minute, once)"
	$(PIP_INSTALL) --require-hashes --requirement requirements-dev.lock
	$(PIP_INSTALL) --no-deps --editable .
	@touch $@ $(RUN)

demo: $(RUN) ## set up everything, seed a demo shop, play the story, serve until Ctrl-C
	@exec $(BIN)/walletsvc demo

demo-check: $(RUN) ## the same story on a fresh shop; exits 0 when every step holds
	@exec $(BIN)/walletsvc demo --check

# Browser tests drive the system's Chromium or Chrome. As root on Debian it is installed; elsewhere
# the tests say in one line what to install.
browser:
	@$(BIN)/python -m tests.browser.chromium 2>/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && { \
	  echo "Installing Chromium for the browser tests (once)"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; }; } || true

test: $(DEV) browser ## everything that guards a change
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-long: $(DEV) browser ## the same with the long random tests
	WALLETSVC_TEST_LONG=1 $(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(DEV) ## ruff, mypy --strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV) ## let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV) ## measure; ONLY=name runs one
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY))

docs: $(DEV) ## write the generated pages of the manual
	$(BIN)/python -c 'from pathlib import Path; from walletsvc.cli import main, reference; reference.write(Path("docs"), main.walletsvc)'

lock: $(DEV) ## renew both lock files from pyproject.toml
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --extra dev --constraint requirements.lock pyproject.toml --output-file requirements-dev.lock

clean: ## remove the environment (never the data in var/)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
