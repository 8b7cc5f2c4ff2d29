# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Lists and erases what dice keeps on an ESP32 outside of its files: counters in NVS, and RTC memory.

MicroPython's esp32.NVS lists no keys. So the pages are read, in the format of ESP-IDF's documentation
(api-reference/storage/nvs_flash).
"""

_PAGE_BYTES = 4096
_ENTRY_BYTES = 32
_ENTRIES = 126
_STATES_AT = 32
_ENTRIES_AT = 64
_IN_USE = (0xFE, 0xFC, 0xF8)  # the first byte of a page: active, full, being emptied
_WRITTEN = 2
_OF_A_NAMESPACE = b"\0\x01\x01\xff"  # how its entry begins


def _pages():
    """Yield the pages that are in use, and None for each other one."""
    try:
        from esp32 import Partition
    except ImportError:
        return
    for partition in Partition.find(Partition.TYPE_DATA, label="nvs"):
        for number in range(partition.info()[3] // _PAGE_BYTES):
            page = bytearray(_PAGE_BYTES)
            partition.readblocks(number, page)
            yield page if page[0] in _IN_USE else None


def _items(page):
    """Yield (namespace, key, first byte of the value, entries) of what is written in a page."""
    i = 0
    while i < _ENTRIES:
        span = 1
        if page[_STATES_AT + i // 4] >> i % 4 * 2 & 3 == _WRITTEN:
            at = _ENTRIES_AT + _ENTRY_BYTES * i
            key = bytes(page[at + 8 : at + 24])
            span = max(1, page[at + 2])
            yield page[at], key[: key.find(b"\0")], page[at + 24], span
        i += span


def _is_readable():
    """Return whether NVS is empty, or has a namespace as all that is stored in it needs one. If it is encrypted, none is found."""
    is_empty = True
    for page in _pages():
        for i in range(_ENTRIES if page else 0):
            if page[_STATES_AT + i // 4] >> i % 4 * 2 & 3 == _WRITTEN:
                is_empty = False
                at = _ENTRIES_AT + _ENTRY_BYTES * i
                if page[at : at + 4] == _OF_A_NAMESPACE:
                    return True
    return is_empty


def _keys(name):
    """Return the keys of a namespace."""
    pages = [[item[:3] for item in _items(page)] for page in _pages() if page]
    numbers = [value for items in pages for namespace, key, value in items if namespace == 0 and key == name.encode()]
    return {key.decode() for items in pages for namespace, key, _ in items if namespace in numbers[:1]}


def counters(name):
    """Print (counters of dice in NVS, entries of NVS that are written, all entries); nothing if this is no ESP32.

    Of an NVS that is encrypted, print ().
    """
    if not _is_readable():
        print("()")
        return
    written = total = 0
    for page in _pages():
        total += _ENTRIES
        written += sum(item[3] for item in _items(page)) if page else 0
    if total:
        print(repr((len({key.rstrip("AB") for key in _keys(name)}), written, total)))


def erase(name):
    """Erase the keys of dice in NVS, and its block in RTC memory; print how many keys are left, or None if NVS is encrypted."""
    try:
        from esp32 import NVS
    except ImportError:
        print(0)
        return
    is_readable = _is_readable()
    nvs = NVS(name)
    for key in _keys(name) if is_readable else ():
        try:
            nvs.erase_key(key)
        except OSError:
            pass  # it is counted below
    nvs.commit()
    from machine import RTC

    if RTC().memory()[:4] == b"dRTC":
        RTC().memory(b"")
    print(len(_keys(name)) if is_readable else None)
