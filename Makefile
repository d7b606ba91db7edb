# The two commands a newcomer needs are `make book` and `make test`; `make help` lists the rest.
# Plain GNU make 3.81 (the one macOS ships) and a POSIX shell; everything runs inside .venv.

PORT ?= 8000# where `make book` serves the site
SERVE ?= 1# SERVE=0 builds the site and stops
SOLUTIONS ?= 1# SOLUTIONS=0 leaves the solution pages of the exercises out
NOTEBOOKS ?=# `make notebooks NOTEBOOKS=book/principles/mixtures.ipynb` runs only that one
JOBS ?= auto# worker processes of the unit tests and of the tests of the site
DIRTY ?=# DIRTY=1 makes a trial release from a tree with changes
UPGRADE ?=# `make lock UPGRADE=--upgrade` moves every pin to its newest version

ifeq ($(OS),Windows_NT)
PYTHON ?= python
BIN := .venv/Scripts
else
PYTHON ?= python3
BIN := .venv/bin
endif

RUN := $(BIN)/python -m
PIP := -m pip install --quiet --disable-pip-version-check
UNIT := pytest tests emlib --doctest-modules --doctest-ignore-import-errors --ignore=tests/book --ignore=tests/benchmarks --ignore=tests/wheel_smoke.py -m "not slow" -n $(JOBS)
BENCHMARKS := pytest tests/benchmarks -o "python_files=bench_*.py"

.DEFAULT_GOAL := help
.PHONY: help book site serve test lint test-unit test-notebooks test-book test-all test-slow benchmarks-smoke \
        test-wheel test-oldest test-newest test-pyodide test-wasm exercises notebooks benchmarks release lock clean

help: ## show this list
	@echo "Usage: make <target>"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

# ---------------------------------------------------------------- the environment
# The stamp is newer than both files once the environment holds what they ask for.
.venv/.stamp: requirements.txt pyproject.toml
	@command -v $(PYTHON) > /dev/null || { echo "There is no $(PYTHON) here: install Python 3.11 or newer, or name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("$(PYTHON) is Python %d.%d, and this course needs 3.11 or newer: make $(MAKECMDGOALS) PYTHON=python3.12" % v[:2])'
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@echo "Installing the course's packages into .venv (once; a few minutes)"
	@$(BIN)/python $(PIP) -r requirements.txt
	@$(BIN)/python $(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# ---------------------------------------------------------------- the book
book: site ## build the site and serve it on 127.0.0.1 (PORT=8000; SERVE=0 only builds; SOLUTIONS=0 for a graded course)
ifneq ($(SERVE),0)
	@$(BIN)/python book/_tools/serve.py --port $(PORT) _build/html
endif

# Sphinx rebuilds only what changed. A new table of contents or extension starts afresh, so that nothing old lingers.
_build/_toc_$(SOLUTIONS).yml: _toc.yml $(wildcard book/_ext/*.py)
	@rm -rf _build/html _build/.doctrees _build/_toc_*.yml
	@mkdir -p _build
ifeq ($(SOLUTIONS),0)
	@grep -v -e '/solutions/' -e '^ *sections: # solutions$$' _toc.yml > $@
else
	@cp _toc.yml $@
endif

# After a warning the parsed pages are thrown away too; kept, they would hide the same warning from the next run.
site: .venv/.stamp _build/_toc_$(SOLUTIONS).yml
	@$(BIN)/jupyter-book build . --toc _build/_toc_$(SOLUTIONS).yml --warningiserror --keep-going --quiet || { rm -rf _build/.doctrees; exit 1; }
	@$(BIN)/python book/_tools/lite.py
	@echo "The site is in _build/html"

exercises: .venv/.stamp ## make the notebooks and solution pages of exercises and projects from emlib/course, and run them
	$(BIN)/emlib exercises build --out book/exercises
	$(BIN)/emlib exercises build phase_a_region motif_in_peaks blood_cells --out book/projects
	$(BIN)/python book/_tools/notebooks.py book/exercises/*.ipynb book/projects/*.ipynb

notebooks: .venv/.stamp ## run the notebooks afresh and store their outputs
	$(BIN)/python book/_tools/notebooks.py $(NOTEBOOKS)

# ---------------------------------------------------------------- the proof
# One after the other, so that the first part to fail is the last thing on the screen.
test: .venv/.stamp ## prove everything: lint, types, unit tests, notebooks, site, browser
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test-unit
	@$(MAKE) --no-print-directory test-notebooks
	@$(MAKE) --no-print-directory test-book

lint: .venv/.stamp ## ruff, mypy and the direction of imports
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(BIN)/lint-imports

test-unit: .venv/.stamp ## unit tests of emlib
	$(RUN) $(UNIT)

test-notebooks: .venv/.stamp ## re-run every notebook and compare with what is stored
	$(RUN) pytest --nbval --nbval-sanitize-with tests/sanitize.cfg -n 2 --dist loadfile book

test-book: site ## links, weight and behaviour of the built site
	$(RUN) pytest tests/book -m "not slow" -n $(JOBS) --dist loadgroup

# ---------------------------------------------------------------- the slower proof
test-all: .venv/.stamp ## what `make test` leaves out: slow tests, benchmarks, wheel, oldest dependencies
	@$(MAKE) --no-print-directory test-slow
	@$(MAKE) --no-print-directory benchmarks-smoke
	@$(MAKE) --no-print-directory test-wheel
	@$(MAKE) --no-print-directory test-oldest

# Status 5 is pytest's "nothing to run".
test-slow: site ## tests marked slow
	$(RUN) pytest tests --ignore=tests/benchmarks -m slow -n $(JOBS) --dist loadgroup || [ $$? -eq 5 ]

benchmarks-smoke: site ## benchmarks on small inputs: do they still run?
	EMLIB_BENCHMARKS=smoke $(RUN) $(BENCHMARKS) || [ $$? -eq 5 ]

benchmarks: site ## speed and memory, side by side with a peer
	$(RUN) $(BENCHMARKS) -s

# A user's view: build both archives, install the wheel with its declared ranges alone, fit something.
test-wheel: .venv/.stamp ## build sdist and wheel, and use the wheel in an empty environment
	rm -rf dist .venv-wheel
	$(RUN) build --no-isolation --outdir dist .
	$(RUN) venv .venv-wheel
	.venv-wheel/$(notdir $(BIN))/python $(PIP) dist/*.whl
	cd dist && ../.venv-wheel/$(notdir $(BIN))/python -I ../tests/wheel_smoke.py
	rm -rf .venv-wheel

# The two ends of the ranges in pyproject.toml; tests/constraints-newest.txt is empty on purpose.
.venv-%/.stamp: tests/constraints-%.txt pyproject.toml
	rm -rf .venv-$*
	$(PYTHON) -m venv .venv-$*
	.venv-$*/$(notdir $(BIN))/python $(PIP) -c tests/constraints-$*.txt -e ".[test]"
	@touch $@

# The promise is to those who import the library; a course runs on the pins.
test-oldest: .venv-oldest/.stamp ## unit tests of the library on the oldest dependencies we promise
	.venv-oldest/$(notdir $(BIN))/python -m $(UNIT) --ignore=tests/exercises --ignore=tests/grading --ignore=tests/attacks

test-newest: .venv-newest/.stamp ## unit tests on the newest dependencies there are
	.venv-newest/$(notdir $(BIN))/python -m $(UNIT)

# Written when it is wanted: these versions move too fast to be kept.
tests/constraints-pyodide.txt: requirements.txt
	@$(MAKE) --no-print-directory .venv/.stamp
	$(BIN)/python .ci/pyodide_versions.py > $@.tmp
	mv $@.tmp $@

test-pyodide: .venv-pyodide/.stamp ## unit tests on the versions that readers' browsers get
	.venv-pyodide/$(notdir $(BIN))/python -m $(UNIT)

# `make test-all` runs a choice of these, if the extra `wasi` is installed. The first time compiles Python, for two minutes.
test-wasm: .venv/.stamp ## unit tests in WebAssembly, as in the reader's browser (half an hour)
	@$(BIN)/python $(PIP) -e ".[wasi]"
	OMP_NUM_THREADS=1 $(BIN)/python tests/wasm/run.py

# ---------------------------------------------------------------- downloads
# Always from a fresh site: what an earlier build left behind must not get into a release.
RELEASE := book/_tools/release.py _build/html $(if $(filter-out 0,$(DIRTY)),--dirty)
release: .venv/.stamp ## site, notebooks, PDF, library and data in dist/release/<version>, with checksums (DIRTY=1 for a trial)
	@$(BIN)/python $(RELEASE) --check
	@rm -rf _build/html _build/.doctrees
	@$(MAKE) --no-print-directory site
	@$(BIN)/python $(RELEASE) --toc _build/_toc_$(SOLUTIONS).yml

# ---------------------------------------------------------------- housekeeping
lock: .venv/.stamp ## pin requirements.txt again from pyproject.toml, for every system and Python >= 3.11
	$(BIN)/python $(PIP) uv
	$(BIN)/uv pip compile pyproject.toml --extra book --extra grading --extra dev --universal --python-version 3.11 \
	  --fork-strategy fewest --no-header --no-annotate --no-emit-index-url --no-emit-package emlib --quiet $(UPGRADE) --output-file requirements.txt
	@printf '%s\n' '# Exact pins of the course (book, tests, grading): Linux, macOS and Windows, Python 3.11 and newer.' \
	  '# Made by `make lock` from the ranges in pyproject.toml; do not edit by hand.' | cat - requirements.txt > requirements.tmp
	@mv requirements.tmp requirements.txt

clean: ## remove what was built (not .venv)
	rm -rf _build dist .venv-* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
