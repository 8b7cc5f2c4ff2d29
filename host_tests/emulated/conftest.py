# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The firmware that the tests of this folder boot: RPI_PICO with all of dice frozen, or $DICE_FIRMWARE."""

import pytest

from dicectl.emulator import board
from dicectl.errors import CommandError
from host_tests.net.conftest import in_network  # noqa: F401 - a fixture here too


@pytest.fixture(scope="session")
def firmware():
    """Return the path of the UF2; skips if it cannot be built, and says what is missing."""
    try:
        board.check()
        return board.firmware()
    except CommandError as failure:
        pytest.skip(failure.format_message())
