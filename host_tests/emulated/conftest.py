# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The firmware that the tests of this folder boot: RPI_PICO with all of dice frozen, or $DICE_FIRMWARE."""

import pytest

from dicectl.emulator import board
from dicectl.errors import CommandError
from host_tests.emulated import results
from host_tests.emulated.targets import TABLE
from host_tests.emulated.targets.base import NAMES
from host_tests.net.conftest import in_network  # noqa: F401 - a fixture here too


@pytest.fixture(scope="session")
def firmware():
    """Return the path of the UF2; skips if it cannot be built, and says what is missing."""
    try:
        board.check()
        return board.firmware()
    except CommandError as failure:
        pytest.skip(failure.format_message())


@pytest.fixture
def target(request):
    """Return a row of the table of targets; skips if it is not available, and says what is missing."""
    row = TABLE[request.param]
    try:
        row.get()
    except CommandError as failure:
        pytest.skip(failure.format_message())
    return row


_outcomes = []


def pytest_runtest_logreport(report):
    """Collect what the portable suite recorded on a target, here or on a worker."""
    if report.when == "call" and report.passed:
        _outcomes.extend(value for name, value in report.user_properties if name == "outcome")


def pytest_sessionfinish(session):
    """Write what came of `make targets`."""
    if results.wanted() and _outcomes and not hasattr(session.config, "workerinput"):
        results.update(_outcomes, NAMES, {row.name: row.build_seconds() for row in TABLE.values()})
        results.write(TABLE.values(), NAMES)
