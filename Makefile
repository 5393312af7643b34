# Everything runs in one virtual environment, .venv. It is made anew whenever pyproject.toml changes, so that it never
# holds what the project no longer asks for; each extra is installed when a target first needs it.

PYTHON ?= python3
VENV := .venv
OLDEST := .venv-oldest
OTHER := .venv-other
BIN := $(VENV)/bin
# twice quiet: errors only
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check

EXAMPLES := $(sort $(wildcard examples/*.py))
BENCHMARKS := $(sort $(wildcard benchmarks/*.py))

.PHONY: help demo test test-slow test-oldest test-other lint examples docs bench clean
.NOTPARALLEL:

help:
	@echo "make demo         a textbook table, its published result and the verification, in demo-output/"
	@echo "make test         the fast tests and the examples in the docstrings"
	@echo "make test-slow    the slow tests; CHOICEMODEL_REPLICATIONS=0.1 runs a tenth of their replications, and a third of crossed tests"
	@echo "make test-oldest  the fast tests with the oldest versions of the dependencies, of tests/oldest.txt"
	@echo "make test-other   the fast tests with the newest other Python of this machine, if there is one"
	@echo "make lint         ruff, mypy and the order of the imports"
	@echo "make examples     every file in examples/"
	@echo "make docs         the documentation"
	@echo "make bench        every file in benchmarks/"
	@echo "make clean        removes what these commands made"

$(VENV)/.stamp: pyproject.toml
	@command -v $(PYTHON) > /dev/null || { echo "No '$(PYTHON)' here: name a Python of 3.11 or newer, make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "choicemodel needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1): make PYTHON=python3.11" >&2; \
		exit 1; }
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --editable .
	@touch $@

$(VENV)/.stamp-%: $(VENV)/.stamp
	$(PIP) install --editable ".[$*]"
	@touch $@

demo: $(VENV)/.stamp
	$(BIN)/python -m choicemodel demo --output demo-output

test: $(VENV)/.stamp-test
	$(BIN)/python -m pytest -m "not slow" -n auto

test-slow: $(VENV)/.stamp-test
	$(BIN)/python -m pytest -m slow -n auto

$(OLDEST)/.stamp: pyproject.toml tests/oldest.txt
	rm -rf $(OLDEST)
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip -qq --disable-pip-version-check install --constraint tests/oldest.txt --editable ".[test]"
	@touch $@

test-oldest: $(OLDEST)/.stamp
	$(OLDEST)/bin/python -m pytest -m "not slow" -n auto

$(OTHER)/.stamp: pyproject.toml .ci/other-python
	rm -rf $(OTHER)
	@other=$$(.ci/other-python $(PYTHON)); \
	if [ -n "$$other" ]; then \
		echo "$$("$$other" --version)"; \
		"$$other" -m venv $(OTHER) && \
		$(OTHER)/bin/python -m pip -qq --disable-pip-version-check install --editable ".[test]"; \
	else mkdir -p $(OTHER); fi
	@touch $@

test-other: $(OTHER)/.stamp
	@if [ -x $(OTHER)/bin/python ]; then $(OTHER)/bin/python -m pytest -m "not slow" -n auto; \
	else echo "There is no other Python of 3.11 or newer here."; fi

lint: $(VENV)/.stamp-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

examples: $(VENV)/.stamp
ifeq ($(EXAMPLES),)
	@echo "There are no examples yet."
else
	@set -e; for file in $(EXAMPLES); do echo "== $$file"; MPLBACKEND=Agg $(BIN)/python $$file; done
endif

ifeq ($(wildcard docs/conf.py),)
docs:
	@echo "The documentation is Markdown for now, nothing to build: read docs/*.md."
else
docs: $(VENV)/.stamp-docs
	$(BIN)/sphinx-build -q -W --keep-going docs docs/_build/html
	@echo "Open docs/_build/html/index.html."
endif

bench: $(VENV)/.stamp-bench
ifeq ($(BENCHMARKS),)
	@echo "There are no benchmarks yet."
else
	@set -e; for file in $(BENCHMARKS); do echo "== $$file"; $(BIN)/python $$file; done
endif

clean:
	rm -rf $(VENV) $(OLDEST) $(OTHER) demo-output build dist docs/_build docs/tutorials docs/api
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
