# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The time of records on the emulated RP2040 with the native module `_dice`, in files as `dicectl deploy` copies them."""

import pytest

from dicectl.emulator import board, runner
from dicectl.errors import CommandError
from dicectl.firmware import mpy, native, profiles, recipe
from dicectl.measure import footprint
from dicectl.resources import LIB

RECORD_US = 525  # 0.52 ms each: one of a session, sealed and opened; one of a group, received


@pytest.fixture(scope="module")
def times():
    """Return what on_device/bench.py measures, from files in the flash of stock firmware."""
    try:
        board.check()
        module = native.build("armv6m", "fast")
        uf2 = recipe.firmware("RPI_PICO", profile="none") / "firmware.uf2"
    except CommandError as failure:
        pytest.skip(failure.format_message())
    files = {native.NAME: module.read_bytes()}
    for name in profiles.files("psk", native=True, esp32=False, c_module=True):
        files[name.replace(".py", ".mpy")] = mpy.compile_here(LIB / name, name, "armv6m")
    return footprint.budgeted(runner.lines(uf2, "bench.py", ["quick"], files))


def test_a_record_of_a_session_and_one_of_a_group_take_half_a_millisecond_each(times):
    assert max(times.values()) <= RECORD_US, times
