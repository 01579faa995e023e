# `make` lists the targets. Nothing is needed first but Python 3.11 or newer, pip, git and make.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
VENV_MIN := .venv-min
BIN := $(VENV)/bin
# The features whose oldest supported dependencies `make test-min` installs.
MIN_EXTRAS := --extra cli --extra filters --extra progress --extra s3 --extra gcs --extra azure --extra http --extra smb --extra sftp --extra webdav --extra libarchive --extra zstd --extra git --extra github
# More arguments for pytest: make test ARGS="-k paths -x"
ARGS ?=

# Whatever environment is active, only the project's own is used.
unexport VIRTUAL_ENV CONDA_PREFIX PYTHONPATH PYTHONHOME
# Containers often set this; each process of each run would compile all tests anew, for seconds.
unexport PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# pip trusts what the system trusts (a company proxy, say); uv only where it is told to.
export UV_SYSTEM_CERTS := true
export PYTHON

.PHONY: help install check test test-fast test-min bench docs demo clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: $(VENV)/.installed ## create .venv: the package (editable) and all tools
	@echo "ready: $(BIN)/genro-storage, $(BIN)/python"

# The environment depends on pyproject.toml alone; while the stamp is newer nothing is downloaded.
$(VENV)/.installed: pyproject.toml
	@tools/make_env.sh $(VENV)
	@echo "installing the package and all tools into $(VENV) (once; a minute where nothing is cached)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[dev]'
	@touch $@

check: $(VENV)/.installed ## lint, format, types and layers
	@$(BIN)/python tools/check.py

test: $(VENV)/.installed ## everything: make check, the tests with coverage, all code in the docs
	@tools/install_services.sh $(VENV)
	@$(BIN)/python tools/check.py --tests $(ARGS)

test-fast: $(VENV)/.installed ## what needs no server and takes no time, without the checks
	@$(BIN)/python -m pytest -n auto -q -m "not services and not slow" $(ARGS)

test-min: $(VENV_MIN)/.installed ## the tests with the oldest dependencies that are allowed
	@$(VENV_MIN)/bin/python -m pytest -n auto $(ARGS)

# Our own requirements at their lower bounds; the test tools stay new.
$(VENV_MIN)/.installed: pyproject.toml
	@tools/make_env.sh $(VENV_MIN)
	@echo "installing the oldest dependencies that are allowed into $(VENV_MIN) (once)"
	@$(VENV_MIN)/bin/uv pip compile --quiet --python $(VENV_MIN)/bin/python \
		--resolution lowest-direct $(MIN_EXTRAS) pyproject.toml -o $(VENV_MIN)/lowest.txt
	@$(VENV_MIN)/bin/uv pip install --quiet --python $(VENV_MIN)/bin/python \
		--constraint $(VENV_MIN)/lowest.txt --editable '.[dev]'
	@touch $@

bench: $(VENV)/.installed ## the library beside its peers, ratios printed
	@shopt -s failglob; for file in benchmarks/bench_*.py; do $(BIN)/python "$$file"; done

docs: $(VENV)/.installed ## build docs/_build/html; a warning is an error
	@$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "built docs/_build/html/index.html"

demo: $(VENV)/.installed ## copy the repository's files between mounts, twice, and compare
	@$(BIN)/python examples/demo/demo.py

clean: ## remove the environments and everything generated
	@rm -rf $(VENV) $(VENV_MIN) build dist docs/_build demo-data htmlcov .coverage .coverage.* \
		.pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
