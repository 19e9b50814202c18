# `make` alone prints what there is. Python 3.11 or newer is needed: `make PYTHON=python3.12 lab` names another one.

PYTHON ?= python3
JOBS ?= 2
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.installed
LOCK := requirements.lock
LOCK_VENV := build/lock-venv
MINI_OUT ?= data/mini
FIGURES ?= figures
TORCH ?= $(shell sed -n 's/^torch==/torch==/p' $(LOCK))
PYTEST := $(RUN) -m pytest
# Side by side, each worker takes one core: torch's and numpy's threads would only get in each other's way.
SIDE_BY_SIDE := OMP_NUM_THREADS=1 $(PYTEST) -n $(JOBS) --dist worksteal

.PHONY: help lab app test fast notebooks test-browser stress check bench figures mini lock clean
.DELETE_ON_ERROR:

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

lab: $(READY)  ## install what is missing and open JupyterLab on notebooks/00_start_here.ipynb
	@$(RUN) -m value_nb.lab

app: $(READY)  ## serve the series as pages without code, for readers who only move the controls
	@$(RUN) -m value_nb.app

test: fast notebooks  ## the tests: fast ones, then every notebook

fast: $(READY)  ## the fast tests only (about 6 minutes on two cores)
	$(SIDE_BY_SIDE) -m "not notebooks and not browser and not stress and not bench"

notebooks: $(READY)  ## execute every notebook in a fresh kernel
	$(SIDE_BY_SIDE) -m notebooks

test-browser: $(READY)  ## open every notebook in a real browser and move its controls (installs Debian's Chromium when missing)
	$(RUN) -m tests.browser.chromium
	$(SIDE_BY_SIDE) -m browser

stress: $(READY)  ## large inputs, many draws, long runs
	$(SIDE_BY_SIDE) -m stress

check: $(READY)  ## ruff on code and notebooks, mypy on the package
	$(RUN) -m ruff check .
	$(RUN) -m mypy

bench: $(READY)  ## measure speed and memory, write docs/BENCHMARK.md (half an hour; QUICK=1: a smoke test)
	$(RUN) -m tests.bench $(if $(QUICK),--quick --out build/bench/QUICK.md)

figures: $(READY)  ## run the series headless: SVG, PDF, PNG and CSV of every figure, and one page to look at
	$(RUN) -m value_nb.figures --out $(FIGURES)

mini: $(READY)  ## rebuild the miniature (FAST=1: a small one; MINI_OUT=DIR: somewhere else)
	$(RUN) -m data.build.make_mini $(if $(FAST),--fast) --out $(MINI_OUT)

# The mark is set last: an install that was interrupted starts again at the next call.
$(READY): pyproject.toml $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed, and '$(PYTHON)' is: $$($(PYTHON) --version 2>&1 || true)"; \
	  echo "Install one, or name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@rm -f $(READY)
	@echo "Installing into $(VENV): some minutes the first time, nothing at the next call."
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --constraint $(LOCK) --editable ".[dev]"
	@touch $(READY)

lock:  ## resolve the newest versions afresh into requirements.lock (TORCH=torch==2.14.0 moves torch)
	rm -rf $(LOCK_VENV)
	$(PYTHON) -m venv $(LOCK_VENV)
	$(LOCK_VENV)/bin/python -m pip install --quiet "$(TORCH)"
	$(LOCK_VENV)/bin/python -m pip install --quiet "$(TORCH)" ".[dev]"
	{ sed -n '/^#/p' $(LOCK); $(LOCK_VENV)/bin/python -m pip list --format=freeze \
	  | sed 's/+.*//' | grep -viE '^(pip|setuptools|wheel|value[-_]nb|triton|nvidia[-_].*|cuda[-_].*)=='; } > $(LOCK).new
	mv $(LOCK).new $(LOCK)

clean:  ## remove what was made here: the environment, figures, builds and caches (not the miniature)
	rm -rf $(VENV) build figures .pytest_cache .ruff_cache .mypy_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
