# Everything runs in .venv, made from requirements/*.lock. PYTHON=/path/to/python chooses another interpreter.

export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST
ifndef ROS_DISTRO
unexport PYTHONPATH
endif

# Tests start some 200 processes. Without compiled files each would compile torch, ROS and this package again.
unexport PYTHONDONTWRITEBYTECODE

# Plugins that ROS puts on the path of every Python belong to other versions of pytest.
PYTEST := PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 .venv/bin/python -m pytest -p pytest_timeout -p pytest_cov -p _hypothesis_pytestplugin

.DEFAULT_GOAL := help
.PHONY: a1-sdk help setup setup-robot setup-test setup-torch sim test flaky lint format coverage mutation docs docs-serve lock clean

help: ## Show this list.
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## /  make \1\t/p' Makefile | expand -t 20

setup: ## Make .venv with all that the program needs; nothing to do the second time.
	@tools/setup.sh run

setup-robot: ## The same with what the computer of a robot needs, without simulator and viewer.
	@tools/setup.sh robot

setup-test:
	@tools/setup.sh test
	@tools/setup.sh colcon

setup-torch: ## Add torch to .venv, for tests that are skipped without it.
	@tools/setup.sh torch

sim: setup ## Walk a simulated A1. More options: make sim ARGS="--robot a1 --terrain stairs"
	@exec .venv/bin/safe-locomotion sim $(ARGS)

test: lint ## Check the code and run all tests. Some of them: make test ARGS="-k gait"
ifeq ($(strip $(ARGS)),)
	@# Tests with deadlines need the cores for themselves; the others share them, file by file as far as that keeps all cores busy.
	@status=0; $(PYTEST) -p xdist -n auto --dist worksteal --durations 60 --durations-min 4 -m "not alone" || status=$$?; \
	$(PYTEST) -m alone $$(grep -rl 'mark.alone' test) || status=$$?; exit $$status
else
	@$(PYTEST) $(ARGS)
endif

lint: setup-test ## Check style, types and which module may import which.
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	@# One process of mypy: its workers must start within 3 s, or it fails, as it did on a loaded machine.
	@# Python 3.10 ends at a numpy whose types are looser, so types are checked from 3.11 on.
	if .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then .venv/bin/mypy; fi
	.venv/bin/lint-imports --no-logo

format: setup-test ## Rewrite the code the way `make lint` wants it.
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

flaky: setup-test ## Run tests that are known to be unstable ten times each: make flaky ARGS="--runs 3"
	@.venv/bin/python tools/flaky.py $(ARGS)

coverage: setup-test ## Run all tests and show the lines and branches that none of them reaches.
	@$(PYTEST) --cov --cov-report=term-missing:skip-covered $(ARGS)

mutation: setup-test ## Change safety code spot by spot: which changes does no test notice? make mutation MODULES="safety/modes safety/gate"
	@tools/mutation.sh $(MODULES)

docs: setup-test ## Build the pages and the API of every room as a site in build/site. It needs Python 3.11 or newer.
	@.venv/bin/python tools/site.py

docs-serve: setup-test ## Show the site on this machine until Ctrl-C.
	@.venv/bin/python tools/site.py --serve

a1-sdk: setup ## Compile the vendor's module for an A1: make a1-sdk SDK=~/unitree_legged_sdk (a checkout of v3.3.1)
	@tools/a1_sdk/build.sh "$(SDK)"

lock: ## Resolve newer versions of all packages and write them to requirements/*.lock.
	@tools/lock.sh

clean: ## Remove the environments and everything built.
	rm -rf .venv .venv-colcon .venv-mutation build install log *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .cache
