# `make` alone lists the targets. Those that run bitskept make .venv first, if it is missing or older than the lock; book
# and slides make build/book-venv.
PROFILE ?= laptop
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BOOK_BIN := build/book-venv/bin
BOOK_STAMP := build/book-venv/.installed
# The first of these that is Python 3.11 or newer; `make PYTHON=...` names another.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

.PHONY: help figures redraw solutions book slides test test-book test-faults test-hub test-cluster lab lint bench lock clean
.DEFAULT_GOAL := help

help:
	@echo "make figures [PROFILE=smoke|laptop|paper|mine]  run the notebooks: every figure and table (default: laptop)"
	@echo "make redraw [PROFILE=...]         draw the figures again from the tables in results/ (two minutes)"
	@echo "make solutions                    run the code of the solutions again, from the tables in results/ (seconds)"
	@echo "make book                         build the site from the committed notebooks: build/book/index.html (two minutes)"
	@echo "make slides                       make slides of every notebook: build/slides/"
	@echo "make test                         run the tests, and the notebooks with the smoke profile"
	@echo "make test-book                    build the book and the slides, and open them in Chromium (where there is one)"
	@echo "make test-faults                  kill the smoke profile ten times, and cause other faults (an hour)"
	@echo "make test-hub                     fetch and measure every model of the registry, in tiny, from a hub on loopback"
	@echo "make test-cluster [TARGETS=...]   run the smoke profile on a real Slurm on this machine (needs root; installs it)"
	@echo "make lab                          open the notebooks in JupyterLab"
	@echo "make lint                         check style, formatting, and what may import what"
	@echo "make bench [QUICK=1]              run the benchmarks (an hour; QUICK=1: some minutes each)"
	@echo "make lock                         resolve pyproject.toml again, into requirements.lock"
	@echo "make clean                        remove build/ (.venv and .cache stay)"

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or name it with make PYTHON=..." >&2; exit 1; }
	@echo "Installing the locked packages into $(VENV) (some minutes the first time)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$$(grep '^pip==' requirements.lock)"
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --group reference
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV): $(STAMP)

figures: $(STAMP)
	$(BIN)/bitskept run --profile $(PROFILE)

redraw: $(STAMP)
	$(BIN)/bitskept redraw --profile $(PROFILE)

solutions: $(STAMP)
	$(BIN)/python -m bitskept.run.solutions

$(BOOK_STAMP): book/requirements.txt
	@echo "Installing what the book is built with into build/book-venv (a minute the first time)"
	$(PYTHON) -m venv build/book-venv
	$(BOOK_BIN)/python -m pip install --quiet --no-deps --requirement book/requirements.txt
	@touch $@

book: $(BOOK_STAMP)
	$(BOOK_BIN)/python book/build.py

slides: $(BOOK_STAMP)
	$(BOOK_BIN)/python book/slides.py

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder  # the slow folders come first in the alphabet

test-book: $(STAMP) book slides
	$(BIN)/python -m pytest tests/book

test-faults: $(STAMP)
	BITSKEPT_FAULTS=whole $(BIN)/python -m pytest tests/faults

test-hub: $(STAMP)
	BITSKEPT_HUB=whole $(BIN)/python -m pytest tests/hub

test-cluster: $(STAMP)
	$(BIN)/python tests/cluster/slurm.py $(TARGETS)

lab: $(STAMP)
	$(BIN)/jupyter lab --ServerApp.root_dir="$(CURDIR)" notebooks/00_tour.ipynb

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

bench: $(STAMP)
	for script in start_up.py ridge_against_logistic.py tokens_per_second.py \
	sweep.py "sweep.py --memory" soft_entropy.py "soft_entropy.py --memory"; do \
	$(BIN)/python benchmarks/$$script $(if $(QUICK),--quick) || exit 1; done

# Lines that only other platforms need cannot be resolved here, and are kept as they are.
lock:
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --upgrade pip
	build/lock/bin/python -m pip install ".[lab,graph,dev]"
	{ grep '^#' requirements.lock; \
	  { grep 'sys_platform' requirements.lock; \
	    build/lock/bin/python -m pip freeze --all --exclude bitskept | sed 's/+cpu$$//'; } | sort -f; } > build/requirements.lock
	mv build/requirements.lock requirements.lock
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --upgrade pip
	build/lock/bin/python -m pip install --group book
	build/lock/bin/python -m pip install --no-deps --group book-scripts
	{ grep '^#' book/requirements.txt; build/lock/bin/python -m pip freeze | sort -f; } > build/requirements.txt
	mv build/requirements.txt book/requirements.txt

clean:
	rm -rf build
