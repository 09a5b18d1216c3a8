# What a developer does often. `make` alone lists the targets.
BIN := .venv/bin

.PHONY: help install run test test-fast coverage check fix docs bench trust

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

install: $(BIN)/ruff ## create .venv with everything that development needs

$(BIN)/ruff: setup.cfg pyproject.toml
	python3 -m venv .venv
	$(BIN)/pip install -q -e '.[dev]'
	@touch $@

run: install ## serve on http://localhost:8080 with the embedded PostgreSQL
	$(BIN)/leaderboard serve

test: install ## the whole test suite
	$(BIN)/pytest

test-fast: install ## the tests that start no process of their own, in less than a minute
	$(BIN)/pytest -m 'not slow'

coverage: install ## the test suite, and whether it reaches 95 % of the code, which takes a third longer
	$(BIN)/pytest --cov=leaderboard --cov=queries --cov-report=term:skip-covered --cov-fail-under=95

check: install ## everything that reads the code without running it
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m docs.generate --check

fix: install ## repair formatting, imports and what else ruff can repair
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install ## write the generated parts of the pages, and the pictures
	$(BIN)/python -m docs.generate
	$(BIN)/python -m docs.picture
	$(BIN)/python -m docs.screenshots

bench: install ## time the service against plain SQL
	$(BIN)/python -m benchmarks

trust: install ## kill everything a hundred times, and compare each answer with a ledger
	$(BIN)/python -m benchmarks.trust kills
