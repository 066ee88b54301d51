# `make run` and `make test` need Python 3.11 or newer and nothing else.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 8000
DATA ?= data
BIN := .venv/bin

.PHONY: install run pages openapi wheel screenshots test test-web lint format bench chaos clean

PAGES := service/static/index.html

install: .venv/.run

# The pages are built where Node is; without it the API is served all the same.
run: .venv/.run
	@if node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null; then $(MAKE) --no-print-directory pages; fi
	@REGIONWISE_DATA_DIR="$(DATA)" $(BIN)/regionwise demo --port $(PORT)

test: .venv/.dev .venv/.readers
	$(BIN)/pytest --numprocesses auto

pages: $(PAGES)

web/node_modules: web/package.json web/package-lock.json
	cd web && npm ci --no-fund --no-audit --loglevel=error
	@touch $@

$(PAGES): web/node_modules web/index.html web/openapi.json web/vite.config.ts $(shell find web/src web/public -type f)
	cd web && npm run --silent build

# With the pages in it, so that whoever installs it needs no Node.
wheel: pages .venv/.dev
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

# The description of the API that the pages' client is made from, after the API has changed.
openapi: .venv/.run
	$(BIN)/regionwise openapi > web/openapi.json

# In Chromium, which has to be there.
test-web: pages .venv/.dev
	cd web && npm run --silent lint && npm test --silent
	$(BIN)/pytest tests/web -m browser

# README's pictures, in Chromium; `DARK=1` for large dark ones.
screenshots: pages .venv/.dev
	PYTHONPATH=. $(BIN)/python docs/screenshots.py $(if $(DARK),--dark)

lint: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.dev
	$(BIN)/python benchmarks/run.py

# SEED, LABELS and MINUTES, and in CHAOS further options: docs/chaos.md.
chaos: .venv/.dev
	$(BIN)/python -m tests.chaos.play $(if $(SEED),--seed $(SEED)) $(if $(LABELS),--labels $(LABELS)) $(if $(MINUTES),--minutes $(MINUTES)) $(CHAOS)

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11."; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.run: pyproject.toml .venv/bin/python
	$(BIN)/pip install --quiet --editable '.[worker]'
	@touch $@

.venv/.dev: pyproject.toml .venv/bin/python
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@ .venv/.run

# Readers of exports that do not fit in .venv: one wants an older Pillow than the pins of the tests were made with, one brings a
# package called tests.
.venv/.readers: Makefile .venv/bin/python
	$(PYTHON) -m venv .venv/readers
	.venv/readers/bin/pip install --quiet 'datumaro>=1.13,<2' 'label-studio-converter>=0.0.59'
	@touch $@

clean:
	rm -rf .venv build dist web/node_modules service/static *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
