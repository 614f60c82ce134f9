# Every target does its own set-up in .venv; only Python >= 3.11 with venv, make and PyPI are needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup demo dashboards test test-netconfd test-frr test-prometheus test-netns test-slow lab-netns bench lint clean
help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 20

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

setup: $(STAMP)  ## install everything into .venv

test: $(STAMP)  ## run the tests that need nothing but Python
	$(BIN)/python -m pytest -n 4 --dist loadfile -m "not netconfd and not frr and not prometheus and not netns and not slow"

test-netconfd: $(STAMP)  ## drivers against Debian's netconfd (apt-get install netconfd openssh-server)
	$(BIN)/python -m pytest -m netconfd -rs || [ $$? -eq 5 ]

test-frr: $(STAMP)  ## the CLI driver against FRR's vtysh (apt-get install frr openssh-server; as root)
	$(BIN)/python -m pytest -m frr -rs || [ $$? -eq 5 ]

test-netns: $(STAMP)  ## forwarding in network namespaces (Linux; as root, or where users may have namespaces)
	$(BIN)/python -m pytest -m netns -rs || [ $$? -eq 5 ]

test-prometheus: $(STAMP)  ## scrape a live daemon, ask every panel's query (apt-get install prometheus)
	$(BIN)/python -m pytest -m prometheus -rs || [ $$? -eq 5 ]

dashboards: $(STAMP)  ## write config/grafana/dashboards/*.json anew
	$(BIN)/python -m config.grafana.source

test-slow: $(STAMP)  ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

demo: $(STAMP)  ## watch a sentence become an L3VPN on emulated routers
	$(BIN)/python -m lab.demo

lab-netns: $(STAMP)  ## real packets in namespaces: moves without loss, a failure; or why not here
	$(BIN)/python -m lab.planes.netns.show

BENCHES := netconf plan transaction restart paths mbb failure twin simulator collection quotes forecast localise wallet negotiation
bench: $(STAMP)  ## every benchmark, one table; writes bench/results/*.json
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[bench]'
	for name in $(BENCHES); do $(BIN)/python -m bench.$$name || exit 1; done
	$(BIN)/python -m bench.table

bench-%: $(STAMP)  ## one benchmark, by name
	$(BIN)/python -m bench.$*

lint: $(STAMP)  ## ruff, mypy strict, import-linter, pyang
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pyang --lint --lint-ensure-hyphenated-names -p yang -p $(VENV)/share/yang/modules yang/accord-*.yang

clean:  ## remove what the targets made
	rm -rf $(VENV) demo build dist
