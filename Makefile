# make demo: try it. make test: check it. Both make their own virtual environment in .venv.

PYTHON ?= python3
MINUTES ?= 3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test chromium slow docs site course clean

help:
	@echo "make demo    train on handwritten digits (3 minutes), write demo.png"
	@echo "make test    lint, type check and test (under 10 minutes)"
	@echo "make slow    the long tests"
	@echo "make docs    write docs/cli.md, recipe.md and api.md anew"
	@echo "make site    the guides and the course as pages, in site/"
	@echo "make course  run the course's commands, about half an hour, and draw its pictures anew"
	@echo "make clean   remove .venv, the demo and all caches; your runs stay"

# A stamp is as new as the files that say what to install, so that nothing is installed twice.
.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "fenshen needs Python 3.11, 3.12 or 3.13; name one: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
	  { echo "Python's venv is missing; on Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/installed: .venv/made pyproject.toml constraints.txt
	$(PIP) install --quiet -c constraints.txt -e .
	@touch $@

.venv/dev-installed: .venv/installed
	$(PIP) install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

demo: .venv/installed
	@test ! -d runs/demo || $(BIN)/fenshen runs delete runs/demo --yes
	$(BIN)/fenshen train digits --minutes $(MINUTES) --out runs/demo
	$(BIN)/fenshen generate runs/demo --count 80 --by-class --out demo.png
	@echo "New handwritten digits, one per column, as nobody ever wrote them: $(CURDIR)/demo.png"
	@echo "The run, with its samples and their animation: $(CURDIR)/runs/demo"

# The browser that the studio is tested with; where it cannot be had, its tests are skipped and say so.
chromium:
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing Chromium for the tests of the studio …"; \
	  { apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium; } >/dev/null 2>&1 || true; \
	fi

test: .venv/dev-installed chromium
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest

slow: .venv/dev-installed
	$(BIN)/pytest -m slow

docs: .venv/installed
	FENSHEN_LANG=en $(BIN)/python -m fenshen.cli.docs > docs/cli.md.new && mv docs/cli.md.new docs/cli.md
	for page in recipe api; do FENSHEN_LANG=en $(BIN)/python -m fenshen.cli.reference $$page > docs/$$page.md.new && \
	  mv docs/$$page.md.new docs/$$page.md; done

.venv/site-installed: .venv/installed
	$(PIP) install --quiet -c constraints.txt -e '.[docs]'
	@touch $@

site: .venv/site-installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "The first page: $(CURDIR)/site/index.html"

course: .venv/installed
	$(BIN)/python docs/course/commands.py notebook > docs/course/first-chapters.ipynb
	$(BIN)/python docs/course/commands.py notebook zh-CN > docs/course/first-chapters.zh-CN.ipynb
	$(BIN)/python docs/course/commands.py

clean:
	rm -rf .venv runs/demo demo.png dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
