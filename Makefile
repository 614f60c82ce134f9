# Every target does its own set-up in .venv; only Python >= 3.11 with venv, make and PyPI are needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup demo test lint clean
help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 20

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

setup: $(STAMP)  ## install everything into .venv

test: $(STAMP)  ## run the tests that need nothing but Python
	$(BIN)/python -m pytest -m "not netconfd and not frr and not prometheus and not slow"

lint: $(STAMP)  ## ruff, mypy strict, import-linter, pyang
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pyang --lint --lint-ensure-hyphenated-names -p yang -p $(VENV)/share/yang/modules yang/accord-*.yang

clean:  ## remove what the targets made
	rm -rf $(VENV) demo build dist
