# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Runs files of host_tests/portable on an emulated RP2040: a Cortex-M0+ with 32-bit words and the heap of a RPI_PICO.

By default the files that depend most on the hardware: arithmetic, cryptography, files, serial lines, counters.
`pytest -m on_demand host_tests/emulated` runs the others.
"""

import re
from pathlib import Path

import pytest

from dicectl import resources
from dicectl.emulator import board
from host_tests import vectors
from host_tests.emulated import files

FOLDER = Path(__file__).resolve().parents[1] / "portable"
# These test modules of dice that no firmware has, such as the group manager.
NOT_ON_BOARDS = {"test_manager", "test_names", "test_vectors_hmac", "test_gsa", "test_aio_group", "test_espnow", "test_response"}
NOT_ON_BOARDS |= {"test_member_replay", "test_member_sender_ids", "test_member_rekey", "test_nonce_states"}
NOT_ON_BOARDS |= {"test_manager_numbers", "test_manager_rations", "test_presence", "test_manager_rollback"}
NAMES = sorted({path.stem for path in FOLDER.glob("test_*.py")} - NOT_ON_BOARDS)
# The emulator needs up to half an hour for these, half of it for test_states, and two minutes for the rest.
ON_DEMAND = {"test_aio_group", "test_lifetime", "test_member", "test_replay"}
ON_DEMAND |= {"test_listener", "test_outsiders", "test_repetitions", "test_loss", "test_session", "test_states", "test_aio_session"}
ON_DEMAND |= {"test_member_replay", "test_member_sender_ids", "test_member_rekey", "test_ages", "test_aio_supervision"}
ON_DEMAND |= {"test_resumption", "test_revocation", "test_nonce_states", "test_manager_numbers", "test_manager_rations"}
ON_DEMAND |= {"test_presence", "test_manager_rollback"}


@pytest.fixture(scope="session")
def flash():
    """Return the files of a board: the tests, their vectors, and dice if the firmware lacks it."""
    names = [path.name for path in FOLDER.glob("*.py") if path.name != "conftest.py"]
    vector_files = {f"vectors/{name}": path for name, path in board.tree(vectors.extract()).items()}
    tests = {**files.compiled(FOLDER, *names), **files.compiled(resources.ON_DEVICE, "lossy_network.py")}
    return {**files.dice(), **tests, **vector_files}


@pytest.fixture(scope="session")
def whole_flash(flash):
    """Return the same with the modules that no firmware has."""
    return {**files.dice(whole=True), **flash}


def run(firmware, flash, *names):
    """Run test modules on a new board; return (the output, its last line)."""
    lines = board.run(firmware, f"import run\nprint(run.main({names!r}))", flash, timeout_s=1800)
    return "\n".join(lines), lines[-1]


def each(names):
    """Parametrize with names of test modules."""
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=pytest.mark.on_demand if name in ON_DEMAND else ()) for name in names]
    )


@each(NAMES)
def test_portable_tests_pass_on_the_board(name, firmware, flash):
    passes(name, firmware, flash)


@each(sorted(NOT_ON_BOARDS))
def test_portable_tests_that_need_the_manager_pass_on_the_board(name, firmware, whole_flash):
    passes(name, firmware, whole_flash)


def passes(name, firmware, flash):
    output, status = run(firmware, flash, name)
    assert status == "0", output
    assert re.search(rf"^{name}: [1-9]\d* tests, 0 failed$", output, re.MULTILINE), output


def test_a_failure_names_its_file_and_test(firmware, flash):
    broken = b"def test_right():\n    pass\n\n\ndef test_wrong():\n    assert 1 << 40 == 1\n"
    output, status = run(firmware, {**flash, "test_broken.py": broken}, "test_wire", "test_broken")
    assert status == "1"
    assert "FAILED test_broken test_wrong" in output
    assert re.search(r"^AssertionError:", output, re.MULTILINE)
    assert re.search(r"^test_broken: 2 tests, 1 failed$", output, re.MULTILINE)
    assert re.search(r"^test_wire: [1-9]\d* tests, 0 failed$", output, re.MULTILINE)


def test_the_files_on_demand_exist():
    assert set(NAMES) | NOT_ON_BOARDS > ON_DEMAND
