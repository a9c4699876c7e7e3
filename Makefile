# make demo    sets everything up and runs a small swarm on this machine
# make test    sets everything up and runs the tests

PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin

.PHONY: setup demo chaos test wild test-all test-cluster test-slurm test-scale gpu-check lint format constraints clean

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt swarm/__init__.py
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; none was found"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

EXPERIMENTS := 12
demo: setup  ## the embedded corpus, 2 agents, 12 experiments without any model, a report: about ten minutes
	$(BIN)/python prepare.py --corpus stdlib
	$(BIN)/python -m swarm launch --researcher sweep --agents 2 --budget 4 --max-experiments $(EXPERIMENTS)

chaos: setup  ## hurts a swarm ten times and checks that nothing was lost: about a minute
	$(BIN)/python -m swarm chaos --faults 10 --seed 1

test: setup
	$(BIN)/python -m pytest -n auto --dist worksteal

test-all: setup  ## with the tests that take minutes, and ten times the examples of each property
	EXAMPLES=thorough $(BIN)/python -m pytest -m "not gpu and not cluster"

wild: setup  ## fifteen foreign repositories, looked at and researched as they are: some minutes
	$(BIN)/python -m tests.wild

test-cluster: setup  ## three hosts on this machine, and a browser on another: needs root on Linux, iproute2, openssh-server and rsync; five minutes
	$(BIN)/python -m pytest -rs -m cluster tests/cluster/test_three_hosts.py tests/cluster/test_watched.py

test-slurm: setup  ## examples/slurm.sbatch on a Slurm of its own: needs root on Linux and slurm-wlm; five minutes
	$(BIN)/python -m pytest -rs -m cluster tests/cluster/test_slurm.py

test-scale: setup  ## 64 agents on one Ray cluster of this machine: six minutes and 8 GB on two cores
	$(BIN)/python -m pytest -m cluster tests/cluster/test_scale.py

gpu-check: setup  ## what was never seen on an NVIDIA GPU, in ten minutes and with a table at the end; needs one
	$(BIN)/python -m trainer.bench.gpu_check $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

constraints:  ## pins every dependency as installed in a fresh environment
	rm -rf .venv-constraints && $(PYTHON) -m venv .venv-constraints
	.venv-constraints/bin/python -m pip install --quiet -e '.[dev]'
	.venv-constraints/bin/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' > constraints.txt
	rm -rf .venv-constraints

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis *.egg-info
