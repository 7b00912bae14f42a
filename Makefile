# SPDX-License-Identifier: Apache-2.0
#
# `make help` names the targets. Everything that they install goes into .venv,
# except Debian packages (packages.txt), which scripts/packages asks for.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
# The pinned files name everything. Asked to resolve, old pips take `coverage[toml]` for something
# that is not pinned as soon as a newer coverage is out.
INSTALL := $(PIP) install --require-hashes --no-deps
# As many tests at a time as there are processors: no result may depend on what else runs.
PYTEST := $(BIN)/pytest -n auto --dist worksteal
# A stamp file is as new as what was installed last: nothing is done twice.
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
DOCS := $(VENV)/.docs
# The kernels that the whole test suite must pass with, in this order.
KERNELS := newest 6.12
# Special kernels for tests: one that looks for bugs in every way, without large parts that its
# labs do not use, and one that counts lines and is the first kernel otherwise.
SEARCHING := $(addprefix --sanitize ,kasan kmemleak lockdep ubsan)
WITHOUT := BTRFS_FS EXT4_FS IP_SCTP MPTCP NETFILTER OPENVSWITCH XFRM_USER
COUNTING := --coverage net/ipv4/icmp.c
# The rooms that do no input or output.
PURE := */windtunnel/errors.py,*/windtunnel/logs/*,*/windtunnel/matrix/*,*/windtunnel/model/*
PURE := $(PURE),*/windtunnel/sim/*,*/windtunnel/wire/*
PURE_TESTS := tests/logs tests/matrix tests/model tests/sim tests/wire tests/test_errors.py
# Tests that boot a kernel only to have a run, or many: of what is searched for, sent about and
# shown. No other kernel and no other user changes what they prove, so they run once.
ONCE_TESTS := tests/docs/test_pytest_page.py tests/engine/test_killed_run.py \
  tests/engine/test_search.py tests/examples/test_election_bug.py \
  $(addprefix tests/examples/test_examples.py::test_,an_example_says_the_same \
    every_cell_of_the_matrix what_an_example_says) \
  $(patsubst %,tests/ui/test_%.py,coverage_command diff_command provider_commands pytest_plugin \
    report_command run_cells run_cells_badly run_on_ray sanitizers search terminal)
# Of these, what may fail for lack of rights: an ordinary user meets it again.
RIGHTS_TESTS := tests/engine/test_killed_run.py tests/ui/test_run_cells.py
# Tests of commands that only read and write files.
FILE_TESTS := tests/report $(shell grep -LE 'needs_uml|booting_|_kernel' tests/ui/test_*.py)

.DELETE_ON_ERROR:
.PHONY: help demo test lint types pytest coverage kernels as-user bench schedules yardsticks docs \
        setup setup-dev packages requirements clean

help: ## show this text
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "  make %-14s%s\n", $$1, $$2 }' Makefile

demo: setup ## six routers, a cut link, an hour; then all of it again, byte for byte
	$(BIN)/windtunnel run examples/ospf-ring/lab.yaml
	$(BIN)/windtunnel report ospf-ring/latest
	$(BIN)/windtunnel replay ospf-ring/latest

test: lint types kernels pytest as-user ## everything that must hold before a change lands

lint: $(DEV) ## style, format, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: $(DEV) ## mypy --strict
	$(BIN)/mypy

# The first one's symbols are another build, for the tests of `windtunnel inspect`.
kernels: setup ## build the kernels that the tests boot (minutes each, once)
	@symbols=--symbols; for kernel in $(KERNELS); do \
	  echo "windtunnel kernel build --source $$kernel $$symbols"; \
	  $(BIN)/windtunnel kernel build --source $$kernel $$symbols || exit; symbols=; done
	$(BIN)/windtunnel kernel build $(SEARCHING) $(patsubst %,--with %=n,$(WITHOUT))
	$(BIN)/windtunnel kernel build $(COUNTING)

# The newest kernel meets every test; each other one those whose result it can change.
pytest: setup-dev ## the tests, as whoever you are
	@first=yes; for kernel in $(KERNELS); do \
	  echo "pytest --kernel $$kernel"; \
	  if [ $$first ]; then $(PYTEST) --kernel $$kernel || exit; \
	  else $(PYTEST) --kernel $$kernel -m needs_uml $(addprefix --deselect=,$(ONCE_TESTS)) || exit; \
  fi; first=; done

# What does no input or output is the same for everybody; so is what only reads and writes files.
as-user: setup-dev ## when root: the tests again, as an ordinary user
	@if [ "$$(id -u)" = 0 ]; then scripts/test-as-user --kernel $(firstword $(KERNELS)) \
	  $(addprefix --ignore=,$(PURE_TESTS) $(FILE_TESTS)) \
	  $(addprefix --deselect=,$(filter-out $(RIGHTS_TESTS),$(ONCE_TESTS))); fi

# Not a part of `test` until these rooms have reached it.
coverage: $(DEV) ## every branch of the rooms that do no input or output
	$(BIN)/pytest -q -m "not needs_uml" --cov --cov-report= \
	  $(PURE_TESTS)
	$(BIN)/coverage report --fail-under=100 --include='$(PURE)'

bench: setup-dev ## measure, and print one table
	$(BIN)/python -m bench

schedules: setup-dev ## a thousand random schedules of faults: none hangs, leaks or differs
	$(BIN)/python -m bench.schedules

yardsticks: setup-dev ## other people's test suites in a guest (TOPOTESTS=FRR's tests/topotests)
	$(BIN)/python -m bench.yardsticks $(if $(TOPOTESTS),--topotests $(TOPOTESTS))

docs: $(DOCS) ## the manual, in docs/_build/html
	$(BIN)/sphinx-build -W -n --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

setup: packages $(RUNTIME) ## what `windtunnel` needs: Debian packages and .venv
setup-dev: packages $(DEV)

packages:
	@scripts/packages

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "windtunnel needs Python 3.11 or newer: make PYTHON=/path/to/python" >&2; exit 3; }
	$(PYTHON) -m venv $(VENV)

# The package itself is installed editable, from hash-checked build tools and without the network.
$(RUNTIME): requirements.txt pyproject.toml | packages $(BIN)/python
	$(INSTALL) -r requirements.txt
	$(PIP) install --no-index --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements-dev.txt $(RUNTIME)
	$(INSTALL) -r requirements-dev.txt
	@touch $@

$(DOCS): requirements-docs.txt $(RUNTIME)
	$(INSTALL) -r requirements-docs.txt
	@touch $@

# --no-emit-index-url: where a package comes from is each machine's own business; the hashes bind.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --custom-compile-command "make requirements" pyproject.toml
requirements: ## pin what pyproject.toml asks for (needs uv; UPGRADE=--upgrade for newer ones)
	$(LOCK) $(UPGRADE) --extra inspect --extra xlsx --group build --output-file requirements.txt
	$(LOCK) $(UPGRADE) --all-extras --group dev --constraints requirements.txt --output-file requirements-dev.txt
	$(LOCK) $(UPGRADE) --group docs --constraints requirements-dev.txt --output-file requirements-docs.txt

clean: ## remove what was installed and built here; runs and kernels stay
	rm -rf $(VENV) docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	  .import_linter_cache .coverage dist
	find . -name __pycache__ -prune -exec rm -rf {} +
