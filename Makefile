# `make run` and `make test` need Python 3.11 to 3.13 and make, nothing else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# A machine with an NVIDIA driver gets TensorFlow with GPU support.
LOCK   := $(if $(shell command -v nvidia-smi),requirements-dev-gpu.lock,requirements-dev.lock)

MODEL  ?= mlp-256-128-100
HOST   ?= 127.0.0.1
PORT   ?= 8080

.PHONY: install run test test-slow lint format bench lock clean

install: $(VENV)/.installed

$(VENV)/.installed: $(LOCK) pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and 'wardrobe needs Python 3.11, 3.12 or 3.13; name one: make PYTHON=python3.12 …')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r $(LOCK)
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

run: install
	$(BIN)/wardrobe train $(MODEL) --stand-in
	$(BIN)/wardrobe serve --model $(MODEL) --host $(HOST) --port $(PORT) --try

test: install
	$(BIN)/python -m pytest

test-slow: install  # what takes minutes: every network of the zoo trained, start-up times
	$(BIN)/python -m pytest -m slow

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install
	$(BIN)/python -m benchmarks.train

LOCKED := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
          --no-emit-index-url --no-annotate --custom-compile-command "make lock" pyproject.toml

lock: install  # the pinned versions, with hashes and without the name of any package host
	$(LOCKED) -o requirements.lock
	$(LOCKED) --extra dev --extra lecture -o requirements-dev.lock
	$(LOCKED) --extra dev --extra lecture --extra gpu -o requirements-dev-gpu.lock

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
