# Everything this project promises is a target here; each makes the environment it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Workers share the cores; more threads a worker would only get in each other's way.
TESTS ?= -n 2 --dist worksteal
# What the benchmarks compare with stays out of the project's own environment.
export LICHEN_PEERS ?= .peers

.DEFAULT_GOAL := help
.PHONY: help install demo test lint endure soak bench peers lock docs changelog clean

help: ## Say what can be made.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /	/' | expand -t 12

$(VENV)/.run: requirements/run.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Lichen needs Python 3.11 or newer; say which: make PYTHON=python3.12 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements/run.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	$(BIN)/python -m pip install --quiet --requirement requirements/dev.txt
	@touch $@

install: $(VENV)/.run ## Make .venv and install Lichen in it.

demo: install ## Run examples/flights from source to served prediction and back.
	@cd examples/flights && PATH="$(CURDIR)/$(BIN):$$PATH" ./demo.sh

test: lint ## Lint, types, layers, and every test but the long ones.
	$(BIN)/python -m pytest $(TESTS) -m "not soak and not alone"

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

endure: $(VENV)/.dev ## A service for a minute at seven tenths of its most load; nothing else may run beside it.
	$(BIN)/python -m pytest -m alone -s

soak: $(VENV)/.dev ## The long tests: kills, floods, full disks.
	$(BIN)/python -m pytest -m soak -s

bench: $(VENV)/.dev ## Measure one thing side by side: make bench NAME=tables
	@$(BIN)/python -m bench.$(or $(NAME),$(error say which: make bench NAME=tables)) $(ARGS)

peers: ## Install what the benchmarks compare with in .peers, or where LICHEN_PEERS says.
	@for file in requirements/peers/*.in; do \
	  name=$$(basename $$file .in); folder="$(LICHEN_PEERS)/$$name"; \
	  if test "$$folder/.made" -nt $$file; then echo "$$name is there"; continue; fi; \
	  rm -rf "$$folder"; \
	  if $(PYTHON) -m venv "$$folder" && "$$folder/bin/python" -m pip install --quiet --requirement $$file; \
	  then touch "$$folder/.made"; echo "$$name is installed"; \
	  else rm -rf "$$folder"; echo "$$name does not install here: the benchmarks leave it out"; fi; \
	done

lock: $(VENV)/.dev ## Compile the requirements anew from pyproject.toml.
	cd requirements && ../$(BIN)/pip-compile --quiet --strip-extras --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-annotate --extra examples --output-file run.txt ../pyproject.toml build.in
	cd requirements && ../$(BIN)/pip-compile --quiet --strip-extras --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-annotate --constraint run.txt --output-file dev.txt dev.in

docs: $(VENV)/.dev ## Write the reference pages anew from the code.
	$(BIN)/python docs/generate.py

changelog: $(VENV)/.dev ## Gather the fragments in changelog.d into CHANGELOG.md.
	$(BIN)/towncrier build --yes

clean: ## Remove what the targets above made.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis examples/*/.lichen
