# What one types. `make help` lists it; CONTRIBUTING.md explains it. Every environment is made by pip from constraints.txt and is made
# again only when pyproject.toml or constraints.txt change.

PYTHON ?= python3
VENV ?= .venv
HOST ?= 127.0.0.1
PORT ?= 8000
# Extra arguments of the command that a target ends in: `make test ARGS='-k palette'`, `make bench ARGS=--quick`.
ARGS ?=
# The address of a package index with PyTorch's CPU builds. On Linux the default index has only builds that bring CUDA (several
# gigabytes); they work too.
TORCH_INDEX ?=

GPU_VENV = $(VENV)-gpu
BIN = $(VENV)/bin
# Twice: errors are shown, notes on indexes and builds are not.
PIP_FLAGS = --quiet --quiet --disable-pip-version-check --constraint constraints.txt
INPUTS = pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help serve serve-gpu test test-slow browser check format bench docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: $(VENV)/.installed-cpu ## install the server and serve the bundled models on http://127.0.0.1:8000
	exec $(BIN)/inkwash serve --host $(HOST) --port $(PORT) $(ARGS)

# A folder of its own: the CPU and the GPU build of onnxruntime are the same module and must not be installed together.
serve-gpu: $(GPU_VENV)/.installed-gpu ## the same on an NVIDIA GPU; refuses to start without one
	INKWASH_DEVICE=cuda exec $(GPU_VENV)/bin/inkwash serve --host $(HOST) --port $(PORT) $(ARGS)

test: $(VENV)/.installed-test browser ## install what the tests need and run all but the slow and the GPU-only ones
	$(BIN)/python -m tests $(ARGS)

test-slow: $(VENV)/.installed-ray browser ## run the slow tests
	$(BIN)/python -m pytest -m 'slow and not gpu' $(ARGS)

# An installed Chromium or Chrome is used; else root takes Debian's; else Playwright fetches its own into the user's cache.
browser: $(VENV)/.installed-test ## find or install the browser of the tests
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
		command -v $$name >/dev/null && exit 0; \
	done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo 'Installing Chromium by apt-get.'; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null && exit 0; \
	fi; \
	$(BIN)/python -m playwright install chromium

check: $(VENV)/.installed-test node_modules/.installed ## style, types of Python and JavaScript, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	npx --no-install tsc --project jsconfig.json

format: $(VENV)/.installed-test ## put the code into shape
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-test ## measure the promises: ratios, both sides in one run
	$(BIN)/python -m tests.bench $(ARGS)

docs: $(VENV)/.installed-test browser ## make the pictures in docs/ again
	$(BIN)/python -m docs.screenshots $(ARGS)

clean: ## remove caches and build outputs; environments and runs stay
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage htmlcov
	find server training tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------------------------------------------------------------- environments

%/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Inkwash needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $*

$(VENV)/.installed-cpu: $(INPUTS) | $(BIN)/python
	@echo 'Installing the server into $(VENV) (a minute or two, once).'
	@$(BIN)/python -m pip install $(PIP_FLAGS) --editable '.[cpu]'
	@touch $@

$(VENV)/.installed-test: $(INPUTS) | $(BIN)/python
	@echo 'Installing the server, training and the tests into $(VENV) (a few minutes, once).'
	@$(if $(TORCH_INDEX),$(BIN)/python -m pip install $(PIP_FLAGS) --index-url '$(TORCH_INDEX)' torch)
	@$(BIN)/python -m pip install $(PIP_FLAGS) --editable '.[cpu,train,dev]'
	@touch $@ $(VENV)/.installed-cpu

$(VENV)/.installed-ray: $(VENV)/.installed-test
	@echo 'Installing Ray Serve into $(VENV) (a minute or two, once).'
	@$(BIN)/python -m pip install $(PIP_FLAGS) --editable '.[ray]'
	@touch $@

$(GPU_VENV)/.installed-gpu: $(INPUTS) | $(GPU_VENV)/bin/python
	@echo 'Installing the server with CUDA into $(GPU_VENV) (a few minutes and 3 GB, once).'
	@$(GPU_VENV)/bin/python -m pip install $(PIP_FLAGS) --editable '.[gpu]'
	@touch $@

node_modules/.installed: package.json package-lock.json
	@command -v npm >/dev/null || \
		{ echo 'The type check of the page needs Node.js 20 or newer with npm, and neither is here. Install it, then run make check again.' >&2; exit 1; }
	npm ci --no-audit --no-fund --loglevel error
	@touch $@
