# Every target makes what it needs, .venv included, on a machine with Python >= 3.11, pip and make.

PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$name; break; fi; done)
PIP_FLAGS ?=
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.installed
CONSOLE := $(VENV)/.installed-console
DEV := $(VENV)/.installed-dev
# make check also runs the tests on this one, in a .venv of its own, where it is installed; make check ALSO= spares that.
ALSO ?= python3.13
TESTS := OMP_NUM_THREADS=1 MUJOCO_GL=$${MUJOCO_GL:-egl} $(BIN)/python -m pytest -q

BENCHMARKS := simulation replay learner sb3_buffer growth journal_crash

.PHONY: help demo session test slow check docs wheel bench setup clean

help:
	@echo "make demo    install, then train pick_cube, measure it without help, and say where to look"
	@echo "make session install, then teach pick_cube yourself, in the browser (OPERATOR=simulated: without a person)"
	@echo "make test    all tests but the slow ones; the same draws, and so the same answer, each time"
	@echo "make slow    the longer learning runs, and the property tests with other draws each time, ten times as many"
	@echo "make check   format, lint, types, docs, tests, these also on python3.13 where it is installed: what CI runs"
	@echo "make docs    all pages as a site, into build/site; a warning is an error"
	@echo "make wheel   the wheel, into dist, and a short run of it in an environment of its own with nothing else in it"
	@echo "make bench   the measurements behind docs/results"
	@echo "make setup   only install, into .venv"
	@echo "make clean   remove .venv and caches; runs, and what make slow found, stay"

demo: $(RUN)
	OMP_NUM_THREADS=1 $(BIN)/robot-rlhf train --task pick_cube --evaluation.stop-at 0.97

session: $(CONSOLE)
	OMP_NUM_THREADS=1 $(BIN)/robot-rlhf session --task pick_cube $(if $(OPERATOR),--operator $(OPERATOR))

test: $(DEV)
	$(TESTS) -n 3 --dist worksteal  # on two cores: many tests wait for a process or a page

slow: $(DEV)
	$(TESTS) -m "slow or hypothesis" --hypothesis-profile free --timeout 3600

check: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(MAKE) docs
	$(MAKE) test
ifneq ($(ALSO),)
	@if $(ALSO) -c '' 2>/dev/null; then $(MAKE) test PYTHON=$(ALSO) VENV=.venv-$(notdir $(ALSO)); \
	else echo "make: $(ALSO) is not installed here: the tests ran on $$($(BIN)/python --version) alone"; fi
endif

docs: $(DEV)
	NO_MKDOCS_2_WARNING=1 MUJOCO_GL=$${MUJOCO_GL:-egl} $(BIN)/python -m mkdocs build --quiet --strict
	@echo "to look at it: $(BIN)/python -m http.server -d build/site"

wheel: $(DEV)
	rm -rf dist build/clean
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .
	$(PYTHON) -m venv build/clean
	build/clean/bin/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt dist/*.whl
	mkdir build/clean/empty
	cd build/clean/empty && OMP_NUM_THREADS=1 ../bin/robot-rlhf train --task reach --steps 200 --evaluation.final-episodes 10

bench: $(DEV)
	set -e; for name in $(BENCHMARKS); do echo "== benchmarks.$$name"; $(BIN)/python -m benchmarks.$$name; done
	$(BIN)/python -m benchmarks.learning run --suite pick peg long short ablations controls --processes 2
	$(BIN)/python -m benchmarks.learning report

setup: $(DEV)

clean:
	rm -rf .venv .venv-* .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "make: no Python >= 3.11 found; install python3.11, or say make PYTHON=/path/to/it"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(RUN): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt -e .
	@touch $@

$(CONSOLE): $(RUN)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt -e '.[console]'
	@touch $@

$(DEV): $(RUN)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt -e '.[dev]'
	@touch $@
