# The three commands of the README, and what a developer needs beside them.
PYTHON ?= python3
BIN := .venv/bin
INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable
SCENARIOS ?= $(wildcard scenarios/*.toml)
TOUR_SECONDS ?= 8s
SOAK_MINUTES ?= 10
SOAK_SESSIONS ?= 50
FUZZ_MINUTES ?= 15
# What was said is judged there, and not when: so a busy machine voids nothing.
CALM := $(foreach bound,send_lateness client_lag hub_lag,--set 'health.$(bound)="1m"') \
  $(foreach bound,cpu steal run_wait neighbours throttled,--set health.$(bound)=100)

# Compiled once: every run starts several processes, and each would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

# Two processes begin with the live tests, which mostly wait; the others let them go first.
TEST_PROCESSES ?= $(shell echo $$(($$(nproc) + 1)))

.PHONY: setup dev demo capacity tour-all test test-slow lint types imports check bench soak fuzz clean
.DELETE_ON_ERROR:

setup: .venv/.installed

dev: .venv/.installed-dev

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "bench: Python 3.11 or newer is needed; say which with make PYTHON=python3.11 ..." >&2; exit 2; }
	$(PYTHON) -m venv .venv

.venv/.installed: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) .
	@touch $@

# What it needs is what `setup` installs, and more.
.venv/.installed-dev: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) '.[dev]'
	@touch .venv/.installed $@

demo: setup
	$(BIN)/bench run demo

# How many callers does the embedded server with four generation slots hold? Takes six minutes.
capacity: setup
	$(BIN)/bench capacity capacity

# Every scenario for a few seconds each, judged by what must hold whatever the machine: see "smoke"
# in each file. Goes through all of them, and fails where one did not pass.
tour-all: setup
	@failed=; for scenario in $(SCENARIOS); do \
	  name=$$(basename $$scenario .toml); \
	  $(BIN)/bench run $$scenario --gates smoke --duration $(TOUR_SECONDS) $(CALM) \
	    --out reports/tour-all-$$(date +%s)-$$name || failed="$$failed $$name"; \
	done; \
	if [ -n "$$failed" ]; then echo "did not pass:$$failed" >&2; exit 1; fi; echo "every scenario: PASS"

test: dev
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile

# Packet captures, hogs, a lossy network, minutes of load, long simulations: see "slow" in the tests.
# Then every property with all of its examples.
test-slow: dev
	$(BIN)/python -m pytest -m slow -rP
	BENCH_THOROUGH=1 $(BIN)/python -m pytest -m "hypothesis and not slow"

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: dev
	$(BIN)/mypy

imports: dev
	$(BIN)/lint-imports

check: lint types imports

bench: dev
	$(BIN)/python -m tests.benchmarks
	$(MAKE) test-slow

# Ten minutes, unless told otherwise (an hour at most): is memory flat?
soak: dev
	$(BIN)/python -m tests.benchmarks.soak --minutes $(SOAK_MINUTES) --sessions $(SOAK_SESSIONS)

# A million bad inputs, in a quarter of an hour at most; what fails is kept in tests/fuzz/seeds.
fuzz: dev
	$(BIN)/python -m tests.fuzz --minutes $(FUZZ_MINUTES)

clean:
	rm -rf .venv build dist *.egg-info
