# The verbs of the project; `make help` lists them. ARGS are handed on: make up ARGS="--listen 127.0.0.1:9000"
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=
.DEFAULT_GOAL := help
.PHONY: help up setup test lint types bench servers test-servers lock clean

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(STAMP): requirements.txt requirements-pip.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-pip.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(STAMP) ## make .venv from the lock file, if it is not there or out of date

up: $(STAMP) ## start Vedette: watch this host, take pushes, print the address
	@$(BIN)/vedette up $(ARGS)

test: $(STAMP) ## every test that needs no extra server
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not servers" $(ARGS)

lint: $(STAMP) ## ruff (rules and format) and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP) ## mypy, strict
	$(BIN)/mypy

bench: $(STAMP) ## the speed table of docs/performance.md
	$(BIN)/python bench/run.py $(ARGS)

servers: ## install Debian's Prometheus, Alertmanager, node exporter, rsyslog and Chromium
	deploy/servers.sh install

test-servers: $(STAMP) servers ## the tests against the real servers, on loopback ports
	$(BIN)/python -m pytest -m servers tests/servers $(ARGS)

lock: $(STAMP) ## write requirements.txt anew, with hashes and without an index address
	echo 'pip>=25' | $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 - -o requirements-pip.txt
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 --extra grpc --group dev --group build pyproject.toml -o requirements.txt

clean: ## remove what was built here, not your data
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
