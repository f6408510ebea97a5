# `make PYTHON=python3.13 …` builds and uses an environment of its own, .venv-3.13.
PYTHON ?= python3
N ?= 20
# Most of a test is waiting for a server.
TESTS_AT_ONCE ?= 4
UV ?= uv
VENV := .venv$(if $(filter-out python3,$(PYTHON)),-$(patsubst python%,%,$(notdir $(PYTHON))))
BIN := $(VENV)/bin
# JupyterHub's own proxy, which only npm carries; without npm, the test of a hub is skipped.
PROXY := .proxy/node_modules/.bin/configurable-http-proxy
SHELL := /bin/sh
.DEFAULT_GOAL := help

.PHONY: help
help: ## Say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: environment
environment:
	@$(PYTHON) -c "" 2> /dev/null || { echo "There is no $(PYTHON) here: install Python 3.11, 3.12 or 3.13, or name yours, as in make lab PYTHON=python3.13." >&2; exit 3; }
	@$(PYTHON) -I autograde/environment.py $(VENV)

.PHONY: lab
lab: environment ## Open JupyterLab on the first lesson
	@$(BIN)/python -m autograde.lab

.PHONY: test
test: lint ## Check what a change can break, in some minutes
	$(BIN)/autograde exercises --check
	$(BIN)/python -m pytest -n $(TESTS_AT_ONCE) --dist loadfile

.PHONY: test-all
test-all: test $(PROXY) ## Check all of it: every answer's proof, and the course in a browser
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "long and not stress"

$(PROXY):
	@! command -v npm > /dev/null || \
	  npm install --prefix .proxy --silent --no-audit --no-fund configurable-http-proxy@5.2.0

.PHONY: lint
lint: environment ## Check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

.PHONY: lessons
lessons: environment ## Run every lesson anew and keep its outputs
	$(BIN)/python -m autograde.lessons

.PHONY: matrix
matrix: environment ## Ask every claim of thirteen sets of releases
	$(BIN)/python -m tests.claims.matrix

.PHONY: exercises
exercises: environment ## Make exercises/ from solutions/
	$(BIN)/autograde exercises

.PHONY: handout
handout: environment ## Build what students get, as a zip and a folder
	$(BIN)/autograde handout

.PHONY: gradescope
gradescope: environment ## Build an autograder zip for each exercise
	$(BIN)/autograde gradescope

.PHONY: stress
stress: environment ## Prove each answer N times under load (N=20, K= chooses answers)
	STRESS_REPEATS=$(N) $(BIN)/python -m pytest -m stress tests/exercises -k "$(K)"

.PHONY: browser
browser: environment ## Click through the course in headless Chromium
	$(BIN)/python -m pytest -m browser tests/browser

.PHONY: bench
bench: environment ## Print how long a check takes
	$(BIN)/python -m autograde.bench

.PHONY: bench-class
bench-class: environment ## Grade one class here and with stock nbgrader
	$(BIN)/python -m autograde.class_bench

.PHONY: bench-memory
bench-memory: environment ## Grade 2,000 tiny submissions and watch what it holds
	$(BIN)/python -m autograde.memory_bench

.PHONY: lock
lock: ## Choose today's versions and write requirements.lock
	@command -v $(UV) > /dev/null || { echo "make lock needs uv: pip install uv" >&2; exit 3; }
	$(UV) pip compile pyproject.toml --extra test --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make lock" --output-file requirements.lock --quiet

.PHONY: clean
clean: ## Remove what tests and tools leave behind
	rm -rf .pytest_cache .mypy_cache .ruff_cache test-artefacts
	find autograde tasklab tests -name __pycache__ -prune -exec rm -rf {} +

.PHONY: sterile
sterile: clean ## Remove the environments too, but never classroom/
	rm -rf .venv .venv-* .venv.log .venv.lock
