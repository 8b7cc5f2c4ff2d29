# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
# Thin: every step also works by hand. The first target that needs it makes .venv and fills it from PyPI.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
COLLECTED := $(VENV)/collected

# Test processes: two more than cores, because many tests wait. 0 runs all tests in this one.
JOBS ?= $(shell expr 2 + `getconf _NPROCESSORS_ONLN`)
# Otherwise each process of pytest, and each that a test starts, compiles every module that it imports.
unexport PYTHONDONTWRITEBYTECODE
PYTEST = $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadgroup

.PHONY: demo check test properties lint mutants firmware native targets counts footprint bench interop clean

demo: $(READY)  ## lamps, a manager and an emulated RP2040, in a network of their own, under attack
	@$(BIN)/dicectl demo

check: lint $(COLLECTED)  ## lint and the quick tests, before every commit: about a minute and a half
	$(PYTEST) -q -m "not (firmware or interop or network or long or on_demand)"

test: $(COLLECTED)  ## the whole suite, or `make test FILE=host_tests/unit/test_app.py`; a test's id will do too
ifdef FILE
	$(BIN)/python -m pytest $(FILE)
else
	$(PYTEST) -q
endif

properties: $(READY)  ## the tests that search, with as many seeds as DICE_SEEDS=5000 or DICE_SEEDS=5000:9000 says: minutes to hours
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadgroup -q --timeout 0 host_tests/properties

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

mutants: $(READY)  ## changes of lib/dice/dtls and lib/dice/group that no test notices: hours, or a sample with SECONDS=600 or FILE=
	$(BIN)/python tools/mutants.py $(if $(SECONDS),--seconds $(SECONDS)) $(FILE)

firmware: $(READY)  ## MicroPython with dice for the Raspberry Pi Pico, from Debian's packages
	@$(BIN)/dicectl build RPI_PICO --from-debian

native: $(READY)  ## P-256 and AES-CCM in C for boards with stock firmware, for the next wheel: needs a compiler for each processor
	$(BIN)/python -m dicectl.firmware.prebuilt

targets: $(READY)  ## the portable suite on every emulated processor, written into docs/boards.md: half an hour, or TARGET=riscv32
	DICE_TARGETS=1 $(PYTEST) -q -m "on_demand or firmware" host_tests/emulated/test_portable_on_targets.py $(if $(TARGET),-k "$(TARGET)")

counts: $(READY)  ## instructions of each operation on every emulated processor, written into docs/footprint.md: a minute
	$(BIN)/python -m host_tests.emulated.counts --write $(TARGET)

footprint: $(READY)  ## what it costs on a Raspberry Pi Pico, written into the documents
	@$(BIN)/dicectl footprint --write

bench: $(READY)  ## speed of sealing and opening; handshakes with each kind of key, written into docs/, and over networks that lose
	@$(BIN)/dicectl bench
	@$(BIN)/dicectl bench --keys --write
	@$(BIN)/dicectl bench --scale

interop: $(READY)  ## dice with every other DTLS stack that is available, written into docs/interop.md
	DICE_INTEROP=1 $(BIN)/python -m pytest -q host_tests/interop -m "interop or on_demand" --deselect host_tests/interop/test_report.py

$(READY): pyproject.toml setup.py
	@echo "Setting up $(VENV) (once, about a minute) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "dice needs Python 3.10 or later; try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	@$(PYTHON) -c 'import ensurepip' || { echo "Python's venv is missing: install it first (Debian: apt-get install python3-venv)."; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@echo "Installing packages from PyPI with pip, which is silent meanwhile ..."
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --editable '.[emulator,postgresql]' --group test --group lint
	@# Two folders in sys.path, not the finder of an editable installation, which takes more than half of the start of each Python.
	@printf '%s\n' $(CURDIR)/lib $(CURDIR)/tools >"$$(echo $(VENV)/lib/python*/site-packages/__editable__.dice_dtls-*.pth)"
	@$(BIN)/python -m dicectl.emulator.compile
	@touch $@

$(COLLECTED): $(READY)
	@# Otherwise all processes of pytest begin by compiling the same tests at the same time, which takes three times as long.
	@$(BIN)/python -m pytest --collect-only -q host_tests/unit >/dev/null & \
	$(BIN)/python -m pytest --collect-only -q --ignore=host_tests/unit >/dev/null; wait
	@touch $@

clean:  ## remove everything that was made
	rm -rf $(VENV) build *.egg-info
