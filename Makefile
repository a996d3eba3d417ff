# The tasks of the project; each is what CI runs. Needs Python >= 3.11, a C++17 compiler and make.
#
#   make demo    from a clean clone to an HTML report
#   make test    every test; those with real photographs run where CBIR_DATA names a folder
#
# .venv/.installed and .venv/.dev are stamps: a second make is fast, and a changed csrc/ is compiled again.

PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check -q
DEMO ?= demo

# Real photographs, where they lie beside the clone.
CBIR_DATA ?= $(abspath $(wildcard ../shared/data))
export CBIR_DATA

NATIVE := $(shell find csrc cbir -name '*.cpp' -path 'csrc/*' -o -name '*.h' -o -name '*.pyx')
SOURCES := $(shell find csrc -name '*.cpp' -o -name '*.h')

.DEFAULT_GOAL := help
.PHONY: help setup build demo test sanitize lint fmt bench stubs clean

help:  ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' Makefile

$(VENV)/.made:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "cbir needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install "setuptools>=77" wheel "pybind11>=2.13" "cython>=3.0" "numpy>=2.0"
	@touch $@

# Without build isolation: what compiles is what runs, and nothing is fetched a second time.
$(VENV)/.installed: $(VENV)/.made pyproject.toml setup.py $(NATIVE)
	$(PIP) install --no-build-isolation -e .
	@touch $@

# The extras alone: installing ".[dev,peers]" would compile everything again.
$(VENV)/.dev: $(VENV)/.installed
	$(PY) -c 'import tomllib; e = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; print(*e["dev"], *e["peers"], sep="\n")' > $(VENV)/extras.txt
	$(PIP) install -r $(VENV)/extras.txt
	@touch $@

setup: $(VENV)/.dev  ## Virtual environment with everything for development
build: $(VENV)/.installed  ## Compile and install (editable) into .venv

demo: $(VENV)/.installed  ## Render a set, build, search, evaluate, report: everything once
	$(PY) -m cbir.demo --out $(DEMO)

test: $(VENV)/.dev  ## Every test
	@if [ -n "$$CBIR_DATA" ]; then echo "real photographs: $$CBIR_DATA"; \
	else echo "CBIR_DATA is not set: tests that need real photographs will be skipped and listed"; fi
	$(PY) -m pytest $(PYTEST_ARGS)
	$(PY) -m pytest benchmarks/micro --benchmark-disable -q

sanitize: $(VENV)/.dev  ## Native tests under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer (GCC)
	$(PY) tests/sanitize.py address
	$(PY) tests/sanitize.py thread

lint: $(VENV)/.dev  ## Style, types, layers, spelling
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/codespell cbir csrc tests benchmarks *.md
	$(VENV)/bin/clang-format --dry-run --Werror $(SOURCES)

fmt: $(VENV)/.dev  ## Format Python and C++
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .
	$(VENV)/bin/clang-format -i $(SOURCES)

bench: $(VENV)/.dev  ## Micro-benchmarks with peers; with CBIR_DATA also the UKBench table
	$(PY) -m pytest benchmarks/micro --benchmark-only
	@if [ -n "$$CBIR_DATA" ]; then $(PY) benchmarks/ukbench.py; \
	else echo "CBIR_DATA is not set: benchmarks/ukbench.py needs real photographs"; fi

stubs: $(VENV)/.dev  ## Generate cbir/_core.pyi from the compiled module
	$(PY) tests/stubs.py

clean:  ## Remove the environment, compiled files and the demo
	rm -rf $(VENV) build demo .pytest_cache .mypy_cache .ruff_cache cbir.egg-info
	find cbir -name '*.so' -delete
