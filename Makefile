# samplegraph: `make demo` draws a picture, `make test` runs the tests, `make help` lists the rest.
# Needs python3 (3.11 or newer), and for `make cpp` a C++17 compiler. Everything else goes into .venv.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:

PYTHON ?= python3
JOBS ?= 2
PYTEST_ARGS ?=
BENCH_ARGS ?=
DOCS_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
INSTALL := $(PIP) install -c constraints.txt
DEMO_READY := $(VENV)/.demo-installed
TEST_READY := $(VENV)/.test-installed
STEM := build/digits-ddim-25
# One thread per test process; ONNX Runtime has threads of its own.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

.PHONY: help demo test test-all lint bench docs wheel cpp test-cpp test-cpp-san bench-cpp bench-gpu clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: $(DEMO_READY) ## export a 25-step DDIM sampler of handwritten digits and draw ten of them
	$(BIN)/samplegraph export --scheduler ddim --steps 25
	$(BIN)/samplegraph run $(STEM).onnx --seed 0 --set class_labels=0,1,2,3,4,5,6,7,8,9 --output build/digits.png
	@echo "The picture is $(CURDIR)/build/digits.png"

test: lint ## lint and all tests but the slow ones
	$(PYTEST) -m "not slow and not gpu" $(PYTEST_ARGS)

test-all: lint ## lint and all tests, the slow ones too
	$(PYTEST) -m "not gpu" $(PYTEST_ARGS)

lint: $(TEST_READY) ## ruff, and mypy on an installed wheel (the editable tree is invisible to it)
	$(BIN)/ruff check --quiet --output-format concise .
	rm -rf build/lint && mkdir -p build
	$(BIN)/python -m build --no-isolation --outdir build/lint . > build/lint.log 2>&1 || { cat build/lint.log; exit 1; }
	$(PIP) install --no-deps --target build/lint/site build/lint/*.whl
	MYPYPATH=build/lint/site $(BIN)/mypy -p samplegraph -p examples | sed 's#^build/lint/site/samplegraph/##'

bench: $(TEST_READY) ## run the benchmarks and write their table into README.md (BENCH_ARGS=--quick: a glance)
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-gpu: $(TEST_READY) ## on an NVIDIA GPU: whole graphs and engines against loops (BENCH_ARGS="--device cpu": a rehearsal)
	$(BIN)/python benchmarks/gpu.py $(BENCH_ARGS)

docs: $(TEST_READY) ## write docs/schedulers.md and its figures (DOCS_ARGS=--measure: measure all schedulers anew)
	OMP_NUM_THREADS=1 $(BIN)/python -m docs.reference $(DOCS_ARGS)

wheel: $(TEST_READY) ## build dist/*.tar.gz, and from it dist/*.whl
	$(BIN)/python -m build --no-isolation --outdir dist .

cpp: | $(BIN)/python ## build the C++ runtime: libsamplegraph and samplegraph-run, in build/cpp/release
	$(BIN)/python runtime/cpp/build.py release --jobs $(JOBS)

test-cpp: $(TEST_READY) ## all tests of the C++ runtime, the slow ones too; `make test` runs the others
	$(BIN)/python runtime/cpp/build.py test --jobs $(JOBS)
	$(PYTEST) tests/cpp $(PYTEST_ARGS)

test-cpp-san: $(TEST_READY) ## the C++ tests under the address, undefined and thread sanitizers, and fuzzing
	$(BIN)/python tests/cpp/sanitize.py

bench-cpp: $(TEST_READY) ## what a call of the C++ runtime costs beyond the engine
	$(BIN)/python tests/cpp/overhead.py

clean: ## remove what was built, but not .venv
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

$(DEMO_READY): pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e ".[export,cpu]"
	@touch $@

$(TEST_READY): pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e ".[test]"
	$(PIP) install --no-deps "k-diffusion==0.1.1.post1"
	@touch $@ $(DEMO_READY)
