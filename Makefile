# Every target sets up what it needs: Python 3.11 and make are all it takes.
SHELL := /bin/bash
ifeq ($(PYTHON),)
PYTHON := $(shell command -v python3.11 || command -v python3)
endif
# `make PYTHON=…` says what makes the environment, not what the scripts of MindSpore run
unexport PYTHON
BACKEND ?= torch
DATASET ?=
VENV := .venv
BENCH := .venv-bench
RIVER := .venv-river
DOCS := .venv-docs
HASHES := .venv-hashes
SITE := runs/site
PEERS := fuxictr faiss-cpu onnxruntime onnx
PY := $(VENV)/bin/python
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt
# not every shell takes ~/ for the home folder behind a =
from_home = $(if $(filter ~/%,$(firstword $(1))),$(patsubst ~/%,$(HOME)/%,$(1)),$(1))
# a word for the shell, whatever is in it
quoted = '$(subst ','\'',$(1))'
# a log of one's own has a folder of its own: runs/demo-films for films/ and for films/dataset/
name_of = $(shell folder=$(call quoted,$(1)); name=$$(basename -- "$$folder"); \
  if [ "$$name" = dataset ]; then name=$$(basename -- "$$(dirname -- "$$folder")"); fi; printf %s "$$name")
DEMO := $(if $(DATASET),runs/demo-$(call name_of,$(call from_home,$(DATASET))),runs/demo)
DATASET_DIR := $(if $(DATASET),$(call from_home,$(DATASET)),$(DEMO)/dataset)
FOLDERS = -p DATASET_DIR $(call quoted,$(DATASET_DIR)) -p OUTPUT_DIR $(call quoted,$(DEMO))
RUN = KERAS_BACKEND=$(call quoted,$(BACKEND)) TF_CPP_MIN_LOG_LEVEL=2 $(PY) notebooks/run.py
EXTRA_torch := torch
EXTRA_jax := jax
EXTRA_tensorflow := tensorflow

.PHONY: help demo test lab bench tables notebooks lint docs licences hashes clean
help:  ## show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

# a folder of packages of its own, made by the Python that constraints.txt is made for
define new_environment
@test -n $(call quoted,$(PYTHON)) && $(call quoted,$(PYTHON)) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
  { echo "Python 3.11 is needed (constraints.txt is made for it); found:" $(call quoted,$(PYTHON)) "Try make PYTHON=/path/to/python3.11"; exit 1; }
$(call quoted,$(PYTHON)) -m venv $(1)
endef

$(VENV)/.made:
	$(call new_environment,$(VENV))
	touch $@

# where the environment is activated Keras takes a backend that is installed, unless one is named
chosen = grep -q KERAS_BACKEND $(VENV)/bin/activate || \
  echo 'export KERAS_BACKEND="$${KERAS_BACKEND:-$(1)}"' >> $(VENV)/bin/activate

$(VENV)/.ready-%: $(VENV)/.made pyproject.toml constraints.txt
	@test -n "$(EXTRA_$*)" || { echo "BACKEND must be torch, jax or tensorflow; found: $*"; exit 1; }
	@echo "setting up $(VENV) for $* (minutes, once)"
	$(INSTALL) -e ".[$(EXTRA_$*),notebooks,rivals,serve,onnx]"
	$(call chosen,$*)
	touch $@

$(VENV)/.ready: $(VENV)/.made pyproject.toml constraints.txt
	@echo "setting up $(VENV) with all backends (about 6 GB, minutes, once)"
	$(INSTALL) -e ".[tensorflow,jax,torch,mindspore,notebooks,rivals,dev]"
	$(call chosen,$(BACKEND))
	touch $@

.PHONY: setup
setup: $(VENV)/.ready-$(BACKEND)  ## an environment in .venv, to prepare, compare and serve (BACKEND=torch)

demo: $(VENV)/.ready-$(BACKEND)  ## synthetic drifting log -> table of arms (BACKEND=torch DATASET=folder)
	mkdir -p $(call quoted,$(DEMO))
ifeq ($(DATASET),)
	$(RUN) notebooks/01_preprocess.ipynb $(call quoted,$(DEMO)/01_preprocess.ipynb) $(FOLDERS)
endif
	$(RUN) notebooks/02_train.ipynb $(call quoted,$(DEMO)/02_train.ipynb) $(FOLDERS)
	$(RUN) notebooks/04_stream_evaluation.ipynb $(call quoted,$(DEMO)/04_stream_evaluation.ipynb) $(FOLDERS)
	@echo "notebooks, figures, report.html and metrics.json:" $(call quoted,$(DEMO)/) "  next: make lab, or README, 'Your own log'"
	@$(PY) -m reloop2_keras compare --table $(call quoted,$(DEMO)/metrics.json)

test: $(VENV)/.ready lint  ## every test on every backend
	$(PY) tests/run_all.py

lint: $(VENV)/.ready  ## ruff on code and notebooks, mypy on the packages
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

lab: $(VENV)/.ready-$(BACKEND)  ## JupyterLab with the tour, on copies in runs/lab (ARGS="--no-browser")
	KERAS_BACKEND=$(call quoted,$(BACKEND)) $(PY) notebooks/lab.py $(ARGS)

notebooks: $(VENV)/.ready  ## run the notebooks again and keep their cleaned outputs
	$(RUN) --refresh notebooks

# the peers see the packages of $(VENV) through a .pth file: PyTorch and Keras are installed once
$(BENCH)/.ready: $(VENV)/.ready benchmarks/peers.txt
	$(call new_environment,$(BENCH))
	echo "../../../../$(VENV)/lib/python3.11/site-packages" > $(BENCH)/lib/python3.11/site-packages/reloop2_environment.pth
	@# one by one: a peer that cannot be installed is reported in its row, and stops no other
	@for peer in $(PEERS); do \
	  $(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -c benchmarks/peers.txt $$peer torch==2.13.0 \
	    || echo "peer $$peer could not be installed; its rows will say so"; done
	touch $@

# river needs a newer NumPy than MindSpore can use: an environment of its own, see river_peer.py
$(RIVER)/.ready: benchmarks/peers-river.txt
	$(call new_environment,$(RIVER))
	@$(RIVER)/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers-river.txt \
	  || echo "peer river could not be installed; its rows will say so"
	touch $@

bench: $(BENCH)/.ready $(RIVER)/.ready  ## benchmarks against peers (ARGS="--quick t1 m1")
	$(BENCH)/bin/python -m benchmarks $(ARGS)

tables: $(VENV)/.ready  ## the table of results: every log, every arm (ARGS="--seeds 1 lasting")
	KERAS_BACKEND=$(call quoted,$(BACKEND)) TF_CPP_MIN_LOG_LEVEL=2 $(PY) -m benchmarks.logs $(ARGS)

# no framework is needed to read docstrings
$(DOCS)/.ready: pyproject.toml constraints.txt
	$(call new_environment,$(DOCS))
	$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	touch $@

docs: $(DOCS)/.ready  ## these pages, docstrings and notebooks as a site in runs/site
	$(DOCS)/bin/python docs/site/build.py $(SITE)
	@echo "to read it, with its search: $(DOCS)/bin/python -m http.server -d $(SITE)"

licences: $(VENV)/.ready $(DOCS)/.ready  ## docs/licences.md again, from what the packages tell
	$(PY) docs/site/licences.py $(DOCS)/lib/python3.11/site-packages

$(HASHES)/.ready: constraints.txt
	$(call new_environment,$(HASHES))
	$(HASHES)/bin/python -m pip install --quiet --disable-pip-version-check pip-tools==7.6.2
	touch $@

# all files of a release have their hashes here, those of other platforms too; setuptools builds reloop2
hashes: $(HASHES)/.ready  ## constraints-hashes.txt again: what a service installs, with hashes
	@printf '%s\n' "# What a service installs (extras serve and fast), and what builds reloop2: exact versions of" \
	  "# constraints.txt with the hashes of all files. Made by make hashes; docs/install.md tells its use." > $(HASHES)/head
	$(HASHES)/bin/python -m piptools compile --quiet --rebuild --generate-hashes --allow-unsafe --strip-extras \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	  --extra serve --extra fast --build-deps-for wheel --constraint constraints.txt \
	  --output-file $(HASHES)/found.txt pyproject.toml
	cat $(HASHES)/head $(HASHES)/found.txt > constraints-hashes.txt

clean:  ## remove runs and caches; the environment stays
	rm -rf runs .pytest_cache .hypothesis .ruff_cache .mypy_cache rank_0
