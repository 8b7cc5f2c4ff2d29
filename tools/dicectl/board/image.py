# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Checks firmware files: that one is complete, and that it is for the chip of the board."""

import struct
from pathlib import Path

from dicectl.errors import FAILED, USAGE, CommandError

_ESP_MAGIC = 0xE9
# By chip_id of esp_image_header_t.
_ESP_CHIPS = {0: "esp32", 2: "esp32s2", 5: "esp32c3", 9: "esp32s3", 13: "esp32c6", 16: "esp32h2", 18: "esp32p4", 23: "esp32c5"}
_UF2_MAGIC = (0x0A324655, 0x9E5D5157)
_UF2_END = 0x0AB16F30
_UF2_BLOCK_BYTES = 512
_UF2_HAS_FAMILY = 0x2000
_UF2_FAMILIES = {0xE48BFF56: "rp2040", 0xE48BFF59: "rp2350", 0xE48BFF5B: "rp2350"}
_UF2_ABSOLUTE = 0xE48BFF57  # a block for any RP2350, which newer SDKs prepend


def check(board, path):
    """Return (path, bytes) of the firmware for a BoardSpec; by default the one that dicectl build wrote. Raises CommandError."""
    suffix = "bin" if board.flashed_by == "esptool" else "uf2"
    chosen = Path(path) if path else Path("build") / board.name / f"firmware.{suffix}"
    try:
        data = chosen.read_bytes()
    except OSError as error:
        ways = (
            f"dicectl flash {board.name} --download gets MicroPython's own firmware",
            f"dicectl build {board.name} makes one with dice",
            "--firmware names another file",
        )
        hint = "" if path else f": {', '.join(ways)}"
        raise CommandError(f"{chosen}: {error.strerror}{hint}", USAGE)
    chip = _esp_chip(chosen, data) if suffix == "bin" else _uf2_chip(chosen, data)
    if chip != board.chip:
        raise CommandError(f"{chosen} is for {chip or 'another chip'}, but {board.name} has {board.chip}", FAILED)
    room = board.flash_bytes - (board.flash_offset if suffix == "bin" else 0)
    if len(data) // (1 if suffix == "bin" else 2) > room:
        raise CommandError(f"{chosen} is larger than the flash of {board.name}", FAILED)
    return chosen, len(data)


def _esp_chip(path, data):
    """Return the chip of an image for Espressif's boot loader."""
    if len(data) < 24 or data[0] != _ESP_MAGIC:
        raise CommandError(f"{path} is not firmware for an ESP32, which is a .bin file", FAILED)
    return _ESP_CHIPS.get(int.from_bytes(data[12:14], "little"))


def _uf2_chip(path, data):
    """Return the chip of a UF2 file; raises CommandError if a block is missing."""
    if not data or len(data) % _UF2_BLOCK_BYTES:
        raise CommandError(f"{path} is not a UF2 file, or is truncated", FAILED)
    chip, seen, total = None, set(), 0
    for at in range(0, len(data), _UF2_BLOCK_BYTES):
        first, second, flags, _, _, number, total_here, family = struct.unpack_from("<8I", data, at)
        if (first, second) != _UF2_MAGIC or data[at + 508 : at + 512] != _UF2_END.to_bytes(4, "little"):
            raise CommandError(f"{path} is not a UF2 file, or is damaged: block {at // _UF2_BLOCK_BYTES}", FAILED)
        if not flags & _UF2_HAS_FAMILY or family == _UF2_ABSOLUTE:
            continue
        chip, total = _UF2_FAMILIES.get(family), total_here
        seen.add(number)
    if len(seen) != total:
        raise CommandError(f"{path} is incomplete: {total - len(seen)} of {total} blocks are missing", FAILED)
    return chip
