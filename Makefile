# proteinweaver: `make demo` and `make test` are all a new machine needs (Python >= 3.11 and make).
#
#   make demo    set up .venv, then design a few multi-domain proteins on the shipped weights into runs/demo
#   make test    set up .venv, then run the default tests
#   make lint    ruff (lint and format) and mypy
#   make bench   seconds per design by length, and the floor
#   make venv    the environment alone; quick when nothing changed
#
# Where PyPI's default torch is a CUDA build you do not want:
#   make venv TORCH_INDEX=https://download.pytorch.org/whl/cpu

VENV ?= .venv
TORCH_INDEX ?=
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO_OUT ?= runs/demo

.PHONY: demo test lint bench venv clean
.DELETE_ON_ERROR:

venv: $(STAMP)

# torch goes first and alone, through the constraints file: asked for by another package, pip would take the
# newest release with several GB of CUDA libraries.
$(STAMP): pyproject.toml constraints.txt scripts/find_python.sh
	@python="$$(sh scripts/find_python.sh)" || exit 1; \
	if [ ! -x "$(BIN)/python" ]; then echo "creating $(VENV) with $$python"; "$$python" -m venv "$(VENV)"; fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP)
	$(BIN)/proteinweaver design examples/demo.yaml -o $(DEMO_OUT) --overwrite
	@echo "PDB files: $(DEMO_OUT)/designs"

test: $(STAMP)
	$(BIN)/python -m pytest -q -n auto --dist loadfile $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python scripts/bench_generate.py

clean:
	rm -rf $(VENV) build dist runs/demo .pytest_cache .mypy_cache .ruff_cache
