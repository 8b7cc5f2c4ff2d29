# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A double of what `dicectl footprint` needs of MicroPython's esp32: no ESP32 was measured. The numbers are made up.

idf_heap_info() returns (total, free, largest free block, least free since start) of each heap, as docs/library/esp32.rst says.
"""

HEAP_DATA = 4


def idf_heap_info(capabilities):
    """Return two heaps."""
    if capabilities != HEAP_DATA:
        raise ValueError(capabilities)
    return [(100_000, 40_000, 30_000, 20_000), (50_000, 10_000, 8_000, 9_000)]
