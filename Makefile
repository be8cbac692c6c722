# Every target sets itself up: a fresh clone needs Python >= 3.11 and nothing else.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# two workers with a thread each: the tests are many short processes; files are taken in the order of tests/conftest.py
PYTEST := OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder
ARGS ?=
EXPERIMENT ?=
SEEDS ?= 0,1,2
SPLITS ?=
NUM_UNSEEN ?= 5
STUDY ?=
TASKS ?= digits,typefaces,textures,textile
JOBS ?= 2
NAME ?=
# commands whose file of this name there is, in this order: biases.py measures what train.py has trained
OF_STUDY = $(wildcard configs/study/$(1)$(NAME).yaml)
STUDIES := $(sort $(filter-out own published,$(basename $(notdir $(wildcard configs/study/[!_]*.yaml configs/study/*/[!_]*.yaml)))))
BIAS_NETWORKS := efficientnet_lite0,efficientnet_lite1,efficientnet_lite2
BACKBONES := resnet,vit,swin,pvt,cvt,poolformer,convnext

.DEFAULT_GOAL := help
.PHONY: help install train test test-gpu check format sweep study biases transfer report dashboard bench docs clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed  ## make .venv with what a run needs

train: $(VENV)/.installed  ## the main job on the embedded default; ARGS="model=swin seed=1" changes it
	$(RUN) src/train.py $(ARGS)

test: $(VENV)/.installed-test  ## all tests
	$(PYTEST) $(ARGS)

test-gpu: $(VENV)/.installed-test  ## the tests that need a CUDA device; skipped where there is none
	$(RUN) -m pytest -m gpu -rs $(ARGS)

check: $(VENV)/.installed-test  ## format, lint, types, fast tests: before each commit
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	$(PYTEST) -m "not slow" $(ARGS)

format: $(VENV)/.installed-test  ## put the code into the house's format
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

sweep: $(VENV)/.installed  ## every backbone x seed 0,1,2, resumable; EXPERIMENT=calligraphy, SEEDS=0,1,2,3,4 SPLITS=0,1,2
	$(RUN) src/train.py -m $(if $(EXPERIMENT),experiment=$(EXPERIMENT)) model=$(BACKBONES) seed=$(SEEDS) $(if $(SPLITS),data.num_unseen=$(NUM_UNSEEN) data.split_seed=$(SPLITS)) resume=true $(ARGS)

study: $(VENV)/.installed-study $(if $(call OF_STUDY,biases/),$(VENV)/.installed-biases) $(if $(call OF_STUDY,transfer/),$(VENV)/.installed-transfer)  ## an open question of the papers as a sweep and its report: NAME=g4; EXPERIMENT=calligraphy for the papers' size
	@$(if $(filter $(NAME),$(STUDIES)),true,echo "make study needs NAME=, one of $(STUDIES)" >&2; exit 2)
	$(if $(call OF_STUDY),$(RUN) src/train.py -m study=$(NAME) $(if $(EXPERIMENT),experiment=$(EXPERIMENT)) resume=true $(ARGS))
	$(if $(call OF_STUDY,transfer/),$(RUN) src/transfer.py -m study=$(NAME) resume=true $(ARGS))
	$(if $(call OF_STUDY,biases/),$(RUN) src/biases.py -m study=$(NAME) resume=true $(if $(call OF_STUDY),$(filter debug=tiny,$(ARGS)),$(ARGS)))
	$(RUN) src/report.py study=$(NAME) $(filter debug=tiny,$(ARGS))

biases: $(VENV)/.installed-biases  ## shape, frequency and band biases of three networks; ARGS="limit=60", STUDY=published
	$(RUN) src/biases.py $(if $(STUDY),study=$(STUDY),-m model=$(BIAS_NETWORKS) resume=true) $(ARGS)

transfer: $(VENV)/.installed-transfer  ## what fine-tuning a demonstration encoder gains and forgets; TASKS=digits,edges,..., STUDY=own
	$(RUN) src/transfer.py $(if $(STUDY),study=$(STUDY),-m experiment=demo data=$(TASKS) 'others=[$(TASKS)]' seed=$(SEEDS) resume=true hydra.launcher.n_jobs=$(JOBS)) $(ARGS)

report: $(VENV)/.installed  ## logs/ to a page with the answer: logs/report/index.html
	$(RUN) src/report.py $(ARGS)

dashboard: $(VENV)/.installed  ## the W&B project's dashboard: uploaded with a key, else logs/dashboard.json
	$(RUN) src/dashboard.py $(ARGS)

bench: $(VENV)/.installed-bench  ## what the speed claims rest on, in ten minutes; ARGS="probe_suite startup", ARGS=--full
	$(RUN) benchmarks/run.py $(ARGS)

docs: $(VENV)/.installed-docs  ## the documentation as a site in site/; a dead link is an error
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict

clean:  ## remove .venv and caches; logs/ and data/ stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build site src/*.egg-info
	find src tests -name __pycache__ -type d -exec rm -rf {} +

# A stamp is made last, so that an install that broke off is repeated.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(f"unseen needs Python 3.11 or newer, {sys.executable} is {sys.version.split()[0]}; try make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(RUN) -m pip install --quiet -c constraints.txt -e '.[offline,dashboard]'
	@touch $@

$(VENV)/.installed-biases: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(RUN) -m pip install --quiet -c constraints.txt -e '.[offline,dashboard,biases]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-transfer: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(RUN) -m pip install --quiet -c constraints.txt -e '.[offline,dashboard,clip,transfer_demo]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-study: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(RUN) -m pip install --quiet -c constraints.txt -e '.[offline,dashboard,tuning,losses,sam,samples]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(RUN) -m pip install --quiet -c constraints.txt -e '.[offline,dashboard,bench]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(RUN) -m pip install --quiet -c constraints.txt -e '.[docs]'
	@touch $@

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(RUN) -m pip install --quiet -c constraints.txt -e '.[test]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-bench $(VENV)/.installed-biases $(VENV)/.installed-docs $(VENV)/.installed-study $(VENV)/.installed-transfer
