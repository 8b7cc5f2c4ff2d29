# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A double of esp32.NVS, for computers and boards without one; `DOUBLE` and its repr say so. It is no ESP32 and no ESP-IDF.

It keeps the log of ESP-IDF's documentation (api-reference/storage/nvs_flash): pages of 126 entries of 32 bytes, an integer in one
entry, a blob in an entry for its data, those of the data, and one for its index. A value is replaced by writing the new one, then
marking the old one as erased; the page with most erased entries is copied to the last empty one and erased when all are full.
`programmed` counts bytes, `erases` pages. The power can fail at each programming and at each erasing: see Chip.fail_at().

ESP-IDF of today writes at once, and its documentation promises that for nvs_commit() alone. The double has the worse of both:
a write in which the power fails stays as far as it got, and complete ones are lost at a restart if nothing has committed them.
"""

import sys

DOUBLE = True

NOT_FOUND = 0x1102
TYPE_MISMATCH = 0x1103
NOT_ENOUGH_SPACE = 0x1105
INVALID_NAME = 0x1106
KEY_TOO_LONG = 0x1109
INVALID_LENGTH = 0x110C
PAGES = 6  # of MicroPython's partition table: 24 KB
_ENTRIES = 126
_KEY_MAX = 15
_WORD = 4
_ENTRY = 32
_HEADER = 32
_I32, _DATA, _INDEX = "i32", "data", "index"


class PowerCut(BaseException):
    """The power fails: no program catches it."""


class Item:
    """An integer, the data of a blob, or its index: it is there once `written`, until it is `erased`."""

    def __init__(self, key, kind, value, span):
        self.key = key  # (namespace, key)
        self.kind = kind
        self.value = value
        self.span = span  # entries
        self.written = False
        self.erased = False

    def alive(self):
        """Return whether it can be read."""
        return self.written and not self.erased


class Page:
    """A sector of flash."""

    def __init__(self):
        self.items = []
        self.moving = False  # its items are being copied to the newest page

    def used(self):
        """Return the entries that are not empty."""
        return sum(item.span for item in self.items)

    def waste(self):
        """Return the entries that are erased or were never completed."""
        return sum(item.span for item in self.items if not item.alive())


class Chip:
    """The flash of the partition; it outlives programs. `esp32` is the module that they import."""

    def __init__(self, pages=PAGES, entries=_ENTRIES):
        self.pages = [Page()]  # in use, the newest last
        self.empty = pages - 1
        self.entries = entries  # of a page
        self.programmed = 0
        self.erases = 0
        self.steps = 0  # programmings and erasings
        self.broken = None  # an error code that every write ends with
        self.unreadable = False
        self._fail_at = None
        self._uncommitted = {}  # {key: the items before its first change since the last commit}
        self.esp32 = Esp32(self)

    def __enter__(self):
        self._before = sys.modules.get("esp32")
        sys.modules["esp32"] = self.esp32
        return self

    def __exit__(self, *_):
        if self._before is None:
            del sys.modules["esp32"]
        else:
            sys.modules["esp32"] = self._before

    def fail_at(self, step):
        """Let the power fail at the programming or erasing number `step` from now on, from 1: it is not done."""
        self._fail_at = step and self.steps + step

    def restart(self):
        """Lose what was not committed, and do what ESP-IDF does at power-up."""
        self._fail_at = None
        self._lose()
        for page in self.pages[:-1]:
            if page.moving:
                self._copy(page)
                self._free(page)
        newest = {}
        for item in self._items():
            if item.alive():
                older = newest.get((item.key, item.kind)) if item.kind != _DATA else None
                if older:
                    older.erased = True
                newest[item.key, item.kind] = item
        kept = [item.value for item in self._items() if item.alive() and item.kind == _INDEX]
        for item in self._items():
            if item.alive() and item.kind == _DATA and item.value[0] not in kept:
                item.erased = True

    def commit(self):
        """Keep all changes: none of them is lost at a restart."""
        self._uncommitted = {}

    def _lose(self):
        for key, before in self._uncommitted.items():
            for item in self._items():
                item.erased = item.erased or item.key == key
            for kind, value, span in before:
                item = Item(key, kind, value, span)
                item.written = True
                self.pages[-1].items.append(item)
        self.commit()

    def _change(self, key):
        if key not in self._uncommitted:
            self._uncommitted[key] = [
                (item.kind, item.value, item.span) for item in self._items() if item.alive() and item.key == key
            ]

    def _do(self, bytes_programmed):
        try:
            self.step(bytes_programmed)
        except PowerCut:
            self.commit()
            raise

    def _items(self):
        return [item for page in self.pages for item in page.items]

    def step(self, bytes_programmed):
        """Program or erase, unless the power fails."""
        self.steps += 1
        if self.steps == self._fail_at:
            raise PowerCut
        self.programmed += bytes_programmed

    def find(self, key, kind, version=None):
        """Return the newest item that is alive, or None; `version` is that of a blob's data, which its index has."""
        for page in reversed(self.pages):
            for item in reversed(page.items):
                if item.alive() and item.key == key and item.kind == kind and (version is None or item.value[0] == version):
                    return item
        return None

    def write(self, key, kind, value, span):
        """Append an item; return it. Raises OSError if all pages are full of what is needed."""
        if self.broken:
            raise OSError(-self.broken, "of the double")
        self._change(key)
        if self.pages[-1].used() + span > self.entries:
            self._new_page(span)
        item = Item(key, kind, value, span)
        self.pages[-1].items.append(item)
        self._do(_ENTRY * span)
        self._do(_WORD)  # of the entry states
        item.written = True
        return item

    def erase(self, item):
        """Mark an item as erased."""
        if item:
            self._change(item.key)
            self._do(_WORD)
            item.erased = True

    def _new_page(self, span):
        if self.empty == 1:  # which stays empty for this
            oldest = max(self.pages, key=lambda page: page.waste())
            if oldest.waste() < span:
                raise OSError(-NOT_ENOUGH_SPACE, "of the double")
            self._begin_page()
            oldest.moving = True
            self._copy(oldest)
            self._free(oldest)
            if self.pages[-1].used() + span > self.entries:
                self._new_page(span)
        else:
            self._begin_page()

    def _begin_page(self):
        self._do(_HEADER)
        self.empty -= 1
        self.pages.append(Page())

    def _copy(self, page):
        target = self.pages[-1]
        there = [(item.key, item.kind, item.value) for item in target.items if item.written]
        for item in page.items:
            if item.alive() and (item.key, item.kind, item.value) not in there:
                copy = Item(item.key, item.kind, item.value, item.span)
                target.items.append(copy)
                self._do(_ENTRY * item.span + _WORD)
                copy.written = True

    def _free(self, page):
        self._do(0)
        self.erases += 1
        self.pages.remove(page)
        self.empty += 1


class Esp32:
    """The module esp32."""

    def __init__(self, chip):
        self._chip = chip
        self.NVS = self._open  # MicroPython 1.25 imports attributes of an object, but no methods

    def _open(self, namespace):
        """Return the double of an NVS object."""
        if len(namespace) > _KEY_MAX:
            raise OSError(-INVALID_NAME, "of the double")
        return Nvs(self._chip, namespace)


class Nvs:
    """The double of an esp32.NVS object: its calls and its errors, whose numbers are negative as in MicroPython."""

    def __init__(self, chip, namespace):
        self._chip = chip
        self._namespace = namespace

    def __repr__(self):
        return "<a double of esp32.NVS>"

    def _key(self, key):
        if not 0 < len(key) <= _KEY_MAX:
            raise OSError(-KEY_TOO_LONG, "of the double")
        return self._namespace, key

    def _replace(self, key, kind, other):
        if self._chip.find(key, other):
            raise OSError(-TYPE_MISMATCH, "of the double")
        return self._chip.find(key, kind)

    def _found(self, key, kind):
        if self._chip.unreadable:
            raise OSError(-1, "of the double")
        item = self._chip.find(self._key(key), kind)
        if item is None:
            raise OSError(-NOT_FOUND, "of the double")
        return item.value

    def set_i32(self, key, value):
        """Store an integer."""
        if not -(1 << 31) <= value < 1 << 31:
            raise OverflowError
        key = self._key(key)
        old = self._replace(key, _I32, _INDEX)
        if old is None or old.value != value or self._chip.broken:
            self._chip.write(key, _I32, value, 1)
            self._chip.erase(old)

    def get_i32(self, key):
        """Return an integer."""
        return self._found(key, _I32)

    def set_blob(self, key, value):
        """Store bytes."""
        key = self._key(key)
        old = self._replace(key, _INDEX, _I32)
        version = self._chip.steps
        self._chip.write(key, _DATA, (version, bytes(value)), 1 + (len(value) + _ENTRY - 1) // _ENTRY)
        self._chip.write(key, _INDEX, version, 1)
        if old:
            data = self._chip.find(key, _DATA, old.value)
            self._chip.erase(old)
            self._chip.erase(data)

    def get_blob(self, key, buffer):
        """Copy bytes into the buffer; return their number."""
        version = self._found(key, _INDEX)
        value = self._chip.find(self._key(key), _DATA, version).value[1]
        if len(value) > len(buffer):
            raise OSError(-INVALID_LENGTH, "of the double")
        buffer[: len(value)] = value
        return len(value)

    def erase_key(self, key):
        """Erase a key."""
        key = self._key(key)
        found = self._chip.find(key, _I32) or self._chip.find(key, _INDEX)
        if found is None:
            raise OSError(-NOT_FOUND, "of the double")
        self._chip.erase(found)

    def commit(self):
        """Make all changes durable."""
        self._chip.commit()


class RtcDouble:
    """A double of machine.RTC(): bytes that outlive a program, but not lose_power()."""

    def __init__(self):
        self.data = b""
        self.writes = 0

    def memory(self, data=None):
        """Return the bytes, or replace them."""
        if data is None:
            return self.data
        if len(data) > 2048:
            raise ValueError("buffer too long")
        self.writes += 1
        self.data = bytes(data)
        return None

    def lose_power(self):
        """Lose all."""
        self.data = b""
