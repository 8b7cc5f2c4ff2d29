# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The wear of the flash by one write of a counter, in the NVS of an ESP32 and in files: the numbers of docs/guide.md.

NVS is a double, which has the log and the pages of ESP-IDF's documentation. The files are in littlefs itself, with the parameters
of MicroPython on an ESP32; each erasing and programming of its blocks is counted.
"""

import re
from pathlib import Path

from littlefs import LittleFS, UserContext

from dice import store_nvs
from dice.store import FileStore
from dice.store_nvs import NvsStore
from host_tests.portable.nvs_double import PAGES, Chip

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide.md"
EPOCH = 1 << 48
NAMES = [f"01020304{kind}{sender:04x}" for kind in "rt" for sender in range(1, 9)]  # of a group with 8 senders
CYCLES = 100_000  # erasings that a block endures, by the data sheets of flash chips
WARM, WRITES = 700, 1260


def nvs():
    """Return (bytes programmed, pages erased) by one write of a counter."""
    with Chip() as chip:
        store = NvsStore(FileStore("/nowhere"), "/nowhere")
        for name in NAMES + WARM * NAMES[:1]:
            store.put(name, store.get(name) + 1 if store.get(name) else EPOCH)
        programmed, erases = chip.programmed, chip.erases
        for number in range(WRITES):
            store.put(NAMES[0], EPOCH + WARM + 1 + number)
        return (chip.programmed - programmed) / WRITES, (chip.erases - erases) / WRITES


class Counting(UserContext):
    """The blocks of a littlefs, which are counted when they change."""

    programmed = erases = 0

    def prog(self, cfg, block, off, data):
        """Program."""
        self.programmed += len(data)
        return super().prog(cfg, block, off, data)

    def erase(self, cfg, block):
        """Erase."""
        self.erases += 1
        return super().erase(cfg, block)


def littlefs():
    """Return the same of files: a temporary file is written, then renamed, as dice.store.replace_file() does."""
    blocks = Counting(512 * 4096)
    sizes = {"block_size": 4096, "block_count": 512, "read_size": 32, "prog_size": 32, "cache_size": 128, "lookahead_size": 32}
    files = LittleFS(context=blocks, block_cycles=100, **sizes)

    def put(name, value):
        with files.open(name + ".tmp", "wb") as file:
            file.write(value.to_bytes(8, "big") + (value ^ (1 << 64) - 1).to_bytes(8, "big"))
        files.rename(name + ".tmp", name)

    for name in NAMES + WARM * NAMES[:1]:
        put(name, EPOCH)
    programmed, erases = blocks.programmed, blocks.erases
    for number in range(WRITES):
        put(NAMES[0], EPOCH + 1 + number)
    return (blocks.programmed - programmed) / WRITES, (blocks.erases - erases) / WRITES


def row(title):
    """Return the cells of a row of the table in the guide."""
    (line,) = re.findall(rf"^\| {re.escape(title)} \|(.*)\|$", GUIDE.read_text(), re.MULTILINE)
    return [cell.strip() for cell in line.split("|")]


def test_the_documented_wear_is_what_a_write_costs():
    """`pytest -s host_tests/unit/test_wear.py` prints it."""
    (nvs_bytes, nvs_erases), (file_bytes, file_erases) = nvs(), littlefs()
    shared = PAGES - 1  # one page has the counters that do not change, and is not moved
    lasting = CYCLES * shared / nvs_erases
    print(f"NVS: {nvs_bytes:.0f} bytes, {nvs_erases:.4f} erases; a file: {file_bytes:.0f} bytes, {file_erases:.4f} erases")
    print(f"{lasting / 1e6:.0f} million writes until {shared} pages have been erased {CYCLES:,} times each")
    assert row("bytes programmed by a write") == [f"{nvs_bytes:.0f}", f"{round(file_bytes, -1):.0f}"]
    said = f"a counter costs {nvs_bytes:.0f} bytes, where a file costs {round(file_bytes, -1):.0f}."
    assert said in " ".join(store_nvs.__doc__.split())
    assert row("blocks of 4 KB erased by a write") == [f"1 in {1 / nvs_erases:.0f}", f"1 in {1 / file_erases:.0f}"]
    assert row("writes until a partition of 24 KB is worn") == [f"{lasting / 1e6:.0f} million", "its free blocks share the wear"]
