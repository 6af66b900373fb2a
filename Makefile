# The menu. Needs Python 3.11+ and make; everything else is installed into .venv and var/.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
# What the product needs, and what working on it needs besides.
BASE := $(VENV)/.installed-base
STAMP := $(VENV)/.installed
WORKERS ?= logical

.PHONY: help demo run test lint types bench shell requirements messages clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(BASE): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "Installing packages into $(VENV) …" >&2
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(STAMP): $(BASE) requirements-dev.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-dev.txt
	@touch $@

demo: $(BASE) ## sixty days of a believable SaaS, played, then served on http://127.0.0.1:8000
	@exec $(PY) manage.py demo $(ARGS)

run: $(BASE) ## all services without demo data
	@exec $(PY) manage.py up $(ARGS)

test: $(STAMP) ## the test suite, in as many processes as there are cores (WORKERS=1: in one)
	@$(PY) -m tests.chromium
	@exec $(PY) -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

lint: $(STAMP) ## style, types, missing migrations, system checks
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy customers billing campaigns portal insights integrations dunning_site
	@SECRET_KEY=lint DATABASE_URL=postgresql:///none $(PY) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run --skip-checks >/dev/null || (echo "A migration is missing: manage.py makemigrations" && false)

messages: $(BASE) ## compile the translations after editing locale/*/LC_MESSAGES/django.po
	@$(VENV)/bin/pybabel -q compile -D django -d locale

bench: $(STAMP) ## measurements of the engine, as JSON
	@exec $(PY) manage.py bench engine --json $(ARGS)

shell: $(BASE) ## a Python shell on the running (or else the stopped) installation
	@exec $(PY) manage.py shell $(ARGS)

requirements: $(STAMP) ## compile the pins anew from requirements*.in
	@$(PY) -m pip install --quiet uv
	@$(VENV)/bin/uv pip compile -q --python-version 3.11 --no-emit-index-url --upgrade requirements.in -o requirements.txt --custom-compile-command "make requirements"
	@$(VENV)/bin/uv pip compile -q --python-version 3.11 --no-emit-index-url --upgrade requirements-dev.in -o requirements-dev.txt --custom-compile-command "make requirements"

clean: ## remove all data of the embedded services, and the environment
	rm -rf var $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
