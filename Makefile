# Each target is complete in itself on a fresh Debian or Ubuntu; `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help setup demo demo-host run test check install uninstall bench mutation campaign format reference lock clean
.NOTPARALLEL:
# The environment is the checkout's own, whatever is active in the shell.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

ARGS ?=
PY := .venv/bin/python
# At least two, so that every run is a parallel one: tests that share a port or a path are found everywhere.
WORKERS := $(shell n=$$(nproc 2>/dev/null || echo 2); [ $$n -ge 2 ] || n=2; echo $$n)

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 11

setup: ## uv and the locked environment in .venv
	@tests/lab/setup.sh

demo: setup ## break three real services and watch heald heal them (ARGS=--once: one round, then exit)
	@$(PY) -m demo.conductor $(ARGS)

demo-host: setup ## the same with containers under a Docker engine of its own (as root or with sudo)
	@demo/host.sh $(ARGS)

run: setup ## start the daemon on the shipped rules.yaml, its state in build/state
	@mkdir -p build
	@exec .venv/bin/heald run --config rules.yaml --state-dir build/state $(ARGS)

test: setup ## install what the tests need, and run them in parallel (ARGS="-k name")
	@tests/lab/bootstrap.sh
	@$(PY) -m pytest -n $(WORKERS) --dist worksteal -q $(ARGS)

check: setup ## lint, format, types, imports, house rules, tests
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	@$(MAKE) --no-print-directory test

install: setup ## put heald on this host as a systemd service, or upgrade it (as root or with sudo)
	@systemd/install.sh install

uninstall: ## take it off again without a trace (ARGS=--keep: keep its rules and what it remembers)
	@systemd/install.sh uninstall $(ARGS)

bench: setup ## measure heald, alone and beside its peers (ARGS="tcp http": these alone)
	@$(PY) -m bench $(ARGS)

mutation: setup ## break the engine in every small way, and count what its tests notice; an hour or more (ARGS="*topology*")
	@rm -rf mutants
	@.venv/bin/mutmut run $(ARGS)
	@.venv/bin/mutmut results | grep -v ': not checked' || true

campaign: setup ## crash heald in every way, and have its services count (ARGS="--rounds 500 --seed 7")
	@tests/lab/bootstrap.sh libfaketime mount util-linux
	@$(PY) -m campaign $(ARGS)

format: setup ## format the code, and mend what ruff can mend
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

reference: setup ## write docs/reference anew from the code and the plug-ins
	@$(PY) -m daemon.reference docs/reference

# A lock file carries hashes and no address: where packages come from is the business of who installs them.
UV = $(shell command -v uv || echo .uv/bin/uv)
COMPILE = $(UV) pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11
lock: setup ## bring the lock files up to date with pyproject.toml (ARGS=--upgrade)
	$(COMPILE) $(ARGS) --all-extras pyproject.toml -o requirements.lock
	$(COMPILE) $(ARGS) --all-extras --group dev pyproject.toml -o requirements-dev.lock
	echo uv | $(COMPILE) $(ARGS) --no-annotate - -o requirements-uv.lock

clean: ## remove caches and what was built; the environment stays
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache mutants
	find daemon checks remediations tests demo bench campaign -name __pycache__ -type d -prune -exec rm -rf {} +
