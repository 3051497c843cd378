# Two commands for a reader: `make demo` and `make test`. Each sets up what it needs, once.
#   PYTHON=python3.12   which Python to use      PIP_ARGS="--index-url ..."   what else to tell pip
#   BENCH_ARGS="--by cpu --rounds 3"   what else to tell a benchmark
#   RPT_MODELS=FOLDER   where `make real-model` puts the model (else ~/.cache/rpt-models)

BIN := .venv/bin
PACKAGES := flows tasks infra rpt_core
PYTEST := $(BIN)/python -m pytest
NOT_HERE := not long and not gpu and not s3 and not vllm and not browser and not harness and not infra and not slurm
# two processes, files in their order: xdist would put those of few tests last, which here are the long ones
BY_FILE := -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup setup-core demo demo-seeds up check lint test test-unit test-faults test-long test-mutants test-s3 test-infra test-slurm test-latest sbom audit vllm test-vllm test-browser bench-vllm harness test-harness bench-harness bench-trainer bench-stages bench-ranks bench-corpus gpu-bundle peers real-model models-table study-pages clean

help:  ## what there is to do
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

setup:  ## .venv with everything, tests and tools included
	@sh infra/setup.sh dev

setup-core:  ## .venv with what running needs
	@sh infra/setup.sh core

demo: setup-core  ## the whole pipeline on the built-in sample world
	@$(BIN)/rpt demo

demo-seeds: setup-core  ## the same for seeds 0, 1 and 2, compared
	@$(BIN)/rpt demo --seeds 0,1,2

up: setup-core  ## Prefect, MLflow and workers on this machine, until Ctrl-C
	@$(BIN)/rpt up

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/codespell

test-unit: setup
	@$(PYTEST) -q $(BY_FILE) -m "not slow and not faults and $(NOT_HERE)" tests/unit tests/contracts $(PACKAGES)

check: lint test-unit  ## the fast half: lint, types, import contract, unit tests

test: lint  ## everything but what takes many minutes or a GPU
	@$(PYTEST) -q $(BY_FILE) -m "$(NOT_HERE)" tests $(PACKAGES)

test-faults: setup  ## processes killed at every stage
	@$(PYTEST) -q -m "faults and not gpu and not vllm and not browser" tests

test-long: setup  ## kills at further steps, RPT's table 1, and other tests of many minutes
	@$(PYTEST) -q -m "long and not gpu and not vllm" tests

test-mutants: setup  ## 200 small faults put in one at a time: what the fast tests notice (under 40 minutes)
	@$(BIN)/python -m tests.mutation

vllm:  ## .venv-vllm, the environment of the engine vllm (VLLM=cpu or VLLM=gpu; else what there is)
	@sh infra/vllm/setup.sh $(VLLM)

test-vllm: setup vllm  ## the engine vllm with the real vLLM
	@$(PYTEST) -q -m vllm tests/contracts

bench-vllm: setup vllm  ## learning with vLLM's answers beside the torch engine's: 8 seeds of a short training
	@$(BIN)/python -m tests.benchmarks.engines $(BENCH_ARGS)

test-browser: setup  ## Prefect's and MLflow's pages against a real `rpt up`, in headless Chromium
	@$(BIN)/python -c 'import playwright' 2>/dev/null || $(BIN)/pip install -q '.[browser]' -c constraints.txt
	@$(PYTEST) -q -m browser tests/browser

harness: setup  ## .venv-harness: lm-evaluation-harness, for rpt eval --harness
	@sh infra/setup_harness.sh

test-harness: harness  ## our engine behind lm-evaluation-harness's interface, beside its own model
	@$(PYTEST) -q -m harness tests

bench-harness: harness  ## our numbers beside the harness's, item by item (BENCH_ARGS="--model FOLDER --data FOLDER")
	@$(BIN)/python -m tests.benchmarks.harness $(BENCH_ARGS)

test-s3: setup  ## the store against a real S3 server (SeaweedFS, in .venv-s3): contract, faults, kills, a journey
	@sh infra/setup_s3.sh
	@$(PYTEST) -q -m s3 tests

test-infra: setup  ## what infra/ holds: validated, and run where this machine can (under 10 minutes)
	@sh infra/setup_infra.sh
	@sh infra/setup_s3.sh
	@sh infra/setup_debian.sh || echo "tests of what is not here are skipped"
	@$(PYTEST) -q -m "infra and not long" tests/infra

test-slurm: setup  ## jobs of a real Slurm with made-up nodes and GPUs: requeue, two nodes, Prefect's worker
	@sh infra/slurm/setup.sh || echo "Slurm's tests are skipped"
	@$(PYTEST) -q -m slurm tests/infra

test-latest:  ## the fast tests with the newest allowed versions of everything, in .venv-latest
	@sh infra/test_latest.sh

sbom: setup  ## sbom.json: what .venv holds, as CycloneDX
	@sh infra/setup_infra.sh
	@.venv-infra/bin/cyclonedx-py environment .venv --pyproject pyproject.toml --mc-type application -o sbom.json

audit: setup  ## the lock against known vulnerabilities; fails where no vulnerability service answers
	@sh infra/setup_infra.sh
	@.venv-infra/bin/pip-audit --requirement constraints.txt --strict --no-deps --disable-pip --progress-spinner off $(AUDIT_ARGS)

bench-trainer: setup  ## our trainer beside TRL's, in an environment of TRL's own (.venv-trl)
	@sh infra/setup_trl.sh
	@OMP_WAIT_POLICY=PASSIVE PYTHONPATH=. .venv-trl/bin/python -m tests.benchmarks.trainer $(BENCH_ARGS)

bench-stages: setup  ## what a stage costs beside its work
	@$(BIN)/python -m tests.benchmarks.stages $(BENCH_ARGS)

bench-ranks: setup  ## two training processes beside one, and beside one of two threads
	@.venv/bin/python -m tests.benchmarks.ranks $(BENCH_ARGS)

peers: setup  ## the corpus benchmarks' peers in environments of their own (.venv-peers, .venv-text-dedup)
	@sh infra/setup_peers.sh

bench-corpus: peers  ## the corpus beside datasketch, datatrove, rensa, text-dedup and presidio (RPT_TEST_DATA: real files)
	@.venv/bin/python -m tests.benchmarks.corpus --whole --memory $${RPT_TEST_DATA:+--data "$$RPT_TEST_DATA"} $(BENCH_ARGS)

gpu-bundle: setup  ## gpu-bundle.tar.gz: the proof on a GPU, for a machine with torch and transformers (FOR_PYTHON=3.12)
	@sh tests/gpu/bundle.sh gpu-bundle.tar.gz

real-model: setup  ## SmolLM2-135M as a folder outside the repository (proven by RPT_TEST_DATA, or MODEL_ARGS="--text FILE")
	@$(BIN)/python -m tests.tools.real_model $(MODEL_ARGS)

models-table: setup  ## docs/models.md again: what becomes of every causal language model type (about 10 minutes)
	@$(BIN)/python -m tests.tools.models_table --fresh

study-pages: setup  ## docs/study again: every study's page, from the outcomes kept there (about 6 minutes)
	@$(BIN)/python -m tests.tools.study_pages

clean:  ## remove .venv and caches; results in .rpt stay
	@rm -rf .venv .venv-s3 .venv-infra .venv-latest .venv-vllm .venv-harness .venv-trl .venv-peers .venv-text-dedup build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find $(PACKAGES) tests -name __pycache__ -prune -exec rm -rf {} +
