# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Counters and RTC memory of an ESP32, which are outside of its files: see dice.store_nvs and dice.store_rtc."""

from dicectl.board.raw_repl import DeviceError
from dicectl.errors import CommandError

_NAMESPACE = "dice"


def counters(device):
    """Return {"counters", "entries", "of"}: the counters of dice, and how full NVS is; None if there is none.

    It is {} if NVS is encrypted, and None if reading it fails.
    """
    device.load("board_nvs.py")
    try:
        found = device.call("counters", _NAMESPACE)
    except DeviceError:
        return None
    return dict(zip(("counters", "entries", "of"), found[0], strict=True)) if found and found[0] else {} if found else None


def erase(device):
    """Erase the counters in NVS and the block in RTC memory, if the board is an ESP32; raises CommandError."""
    device.load("board_nvs.py")
    try:
        (left,) = device.call("erase", _NAMESPACE)
    except DeviceError as error:
        raise CommandError(f"the counters in NVS cannot be erased: {error}; dicectl flash --erase erases all")
    if left is None:
        raise CommandError(
            "NVS is encrypted, so the counters in it cannot be found, and were not erased: dicectl flash --erase erases all"
        )
    if left:
        raise CommandError(f"{left} counters in NVS cannot be erased: dicectl flash --erase erases all")
