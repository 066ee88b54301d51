# `make run` and `make test` need Python 3.11 or newer and nothing else.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 8000
DATA ?= data
BIN := .venv/bin

.PHONY: install run test lint format bench clean

install: .venv/.run

run: .venv/.run
	@REGIONWISE_DATA_DIR="$(DATA)" $(BIN)/regionwise demo --port $(PORT)

test: .venv/.dev .venv/.readers
	$(BIN)/pytest --numprocesses auto

lint: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.dev
	$(BIN)/python benchmarks/run.py

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
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
