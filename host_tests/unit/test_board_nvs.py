# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Wiping an ESP32 erases its counters in NVS and its RTC memory, and doctor counts them. The board is a double.

The double's partition is what esp-idf-nvs-partition-gen 0.3.0 (PyPI, Espressif's own) makes from this, with 3 pages:

    wifi,namespace,,                         dice,namespace,,
    01020304t0001,data,i32,7                 01020304t0001,data,hex2bin,000100000000004042
                                             01020304t0001B,data,i32,64
                                             01020304t0001A,data,i32,0
                                             long,data,hex2bin,(64 bytes with an entry that looks like that of the namespace dice)
                                             dtls,data,hex2bin,000100000000000041
                                             dtlsA,data,i32,0
                                             dtlsB,data,i32,0
"""

import ast
import base64
import contextlib
import io
import random
import subprocess
import sys
import zlib
from types import SimpleNamespace

import pytest

from dicectl import resources
from dicectl.board import inspect, nvs, sync
from dicectl.board.raw_repl import DeviceError
from dicectl.errors import CommandError
from dicectl.firmware import unix_port
from dicectl.member.node_file import BoardTarget

IMAGE = zlib.decompress(
    base64.b64decode(
        "eNrt0L0vA2EcB/DnuaLqtdV6qXopBpPkuTIRyd1N7SQGESQMSnNJMWhiM7Fe/A0kJBaJrUaRWw0W/gGDRCLoeo/n9C7upUzG7yfp9O3vyfe+Fu"
        "ecCBYPO5q6qV4KjTIXoZSvJOTJA31bJx7UyWmK8us5c4PJLMem2UyFMSaLPCp+7v3pbOG9qG9uee8l517SJLKUVA6D9zFx/XhirRH6/XdF+6Wf"
        "lKd80by4D9+LjuINSfRbWC6++XJNPOj0s/Ozj4ziy9V6x3q/CFGPb43y3m7J218RKfk0rwiVIk3NLdHWWFt7R2dXdzzRk0z19vUPpAczQ8Mjo9"
        "mx8Yngt/t2EP3PjcJT+H2nv9jn+fXlrlgp73tze5+SYeScfYj6xz7r+dp8+P5nn4dsvGbnaqCbu096p7pq51qDHAAAAAAAAAAAAAAAAAAAAAAA"
        "AAAAAAD+xxdwtFgs"
    )
)
MINE = {"01020304t0001", "01020304t0001B", "01020304t0001A", "long", "dtls", "dtlsA", "dtlsB"}


class Esp32:
    """A double of an ESP32 whose program is board_nvs.py. `stubborn` keys cannot be erased."""

    TYPE_DATA = 1

    def __init__(self, stubborn=()):
        self.image = bytearray(IMAGE)
        self.rtc = b"dRTC" + bytes(9)
        self.stubborn = stubborn
        self.committed = False
        self.scope = {}
        self.Partition = self.NVS = self

    # esp32.Partition and esp32.NVS
    def find(self, kind, label):
        assert (kind, label) == (1, "nvs")
        return [self]

    def info(self):
        return (1, 2, 0x9000, len(self.image), "nvs", False)

    def readblocks(self, number, page):
        page[:] = self.image[number * 4096 :][: len(page)]

    def __call__(self, namespace):
        assert namespace == "dice"
        return self

    def erase_key(self, key):
        """Erase all entries of a key of the namespace, as nvs_erase_key() does."""
        if key in self.stubborn:
            raise OSError(-1)
        found = False
        i = 0
        while i < 126:
            at = 64 + 32 * i
            span = max(1, self.image[at + 2]) if self.image[at + 2] < 126 else 1
            if self.image[at] == 2 and bytes(self.image[at + 8 : at + 24]).rstrip(b"\0") == key.encode():
                found = True
                for entry in range(i, i + span):
                    self.image[32 + entry // 4] &= ~(3 << entry % 4 * 2)
            i += span
        if not found:
            raise OSError(-0x1102)

    def commit(self):
        self.committed = True

    # machine.RTC
    def RTC(self):
        return SimpleNamespace(memory=self.memory)

    def memory(self, data=None):
        if data is None:
            return self.rtc
        self.rtc = data
        return None

    # dicectl.board.raw_repl.Device
    def load(self, script):
        exec((resources.ON_DEVICE / script).read_text(), self.scope)

    def call(self, function, *arguments):
        before = {name: sys.modules.get(name) for name in ("esp32", "machine")}
        sys.modules["esp32"] = sys.modules["machine"] = self
        try:
            with contextlib.redirect_stdout(io.StringIO()) as out:
                self.scope[function](*arguments)
        finally:
            for name, module in before.items():
                sys.modules[name] = module
                if module is None:
                    del sys.modules[name]
        return [ast.literal_eval(line) for line in out.getvalue().splitlines()]


def test_doctor_counts_the_counters_and_the_entries():
    assert nvs.counters(Esp32()) == {"counters": 3, "entries": 17, "of": 3 * 126}
    board = {
        "machine": "ESP32",
        "port": "P",
        "board": None,
        "version": [1, 26, 1],
        "preview": False,
        "mpy": "6.3",
        "backend": "device",
        "algorithms": {},
    }
    board |= {"heap": 9, "heap_free": 9, "flash": 9, "flash_free": 9, "dice": [], "missing": [], "to_do": []}
    counted = (nvs.counters(Esp32()), "3 counters of dice; 17 of 378 entries written")
    for found, said in (counted, (None, None), ({}, "encrypted: its counters cannot be counted")):
        lines = dict(inspect.lines({"dice": "1", "host": {}, "board": {**board, "nvs": found}}))
        assert lines.get("NVS") == said


def test_wiping_erases_all_keys_of_dice_and_no_others():
    board = Esp32()
    nvs.erase(board)
    assert board.committed and board.rtc == b""
    assert nvs.counters(board) == {"counters": 0, "entries": 3, "of": 378}, "two namespaces, and the key of wifi"
    nvs.erase(board)


def test_rtc_memory_of_other_programs_stays():
    board = Esp32()
    board.rtc = b"my program's"
    nvs.erase(board)
    assert board.rtc == b"my program's"


def test_what_cannot_be_erased_is_reported():
    with pytest.raises(CommandError, match="1 counters in NVS cannot be erased: dicectl flash --erase"):
        nvs.erase(Esp32(stubborn=("dtls",)))

    class Broken(Esp32):
        def call(self, function, *arguments):
            raise DeviceError("OSError: (-4353, 'ESP_ERR_NVS_NOT_INITIALIZED')")

    with pytest.raises(CommandError, match=r"cannot be erased: OSError.*NOT_INITIALIZED"):
        nvs.erase(Broken())


def test_a_wiped_or_replaced_board_has_no_counters_in_nvs(monkeypatch):
    monkeypatch.setattr(sync, "remove", lambda device, doomed: None)
    monkeypatch.setattr(sync, "put", lambda device, path, data: None)
    for had_one, left in ((True, 0), (False, 3)):
        target = SimpleNamespace(_device=Esp32(), _had_one=had_one, _point=None)
        target._device.port = "P"
        BoardTarget.write(target, {})
        assert nvs.counters(target._device)["counters"] == left
        BoardTarget.erase(target)
        assert nvs.counters(target._device)["counters"] == 0


def encrypted(image):
    """Return an image as an encrypted NVS looks: entries are random; headers, and states of entries, are not (ESP-IDF's manual)."""
    chance = random.Random(1)
    pages = [image[at : at + 64] + chance.randbytes(4096 - 64) for at in range(0, len(image), 4096)]
    return bytearray(b"".join(pages))


def test_nvs_that_is_encrypted_is_reported_and_not_said_to_be_wiped():
    board = Esp32()
    board.image = encrypted(IMAGE)
    assert nvs.counters(board) == {}
    before = bytes(board.image)
    with pytest.raises(CommandError, match=r"NVS is encrypted, so the counters in it .* were not erased: dicectl flash --erase"):
        nvs.erase(board)
    assert board.image == before and board.rtc == b"", "RTC memory is erased all the same"


def test_an_empty_nvs_is_wiped():
    board = Esp32()
    board.image = bytearray(b"\xff" * len(IMAGE))
    nvs.erase(board)
    assert nvs.counters(board) == {"counters": 0, "entries": 0, "of": 378}


def test_pages_that_are_not_in_use_are_skipped():
    board = Esp32()
    for state in (0xFF, 0xF0, 0x00):
        board.image[4096:8192] = bytes([state]) + IMAGE[1:4096]
        assert nvs.counters(board)["entries"] == 17
    board.image[4096:8192] = b"\xfc" + IMAGE[1:4096]
    assert nvs.counters(board)["entries"] == 34


def test_a_board_that_is_no_esp32_has_none():
    """In MicroPython's unix port, which has no module esp32."""
    script = resources.ON_DEVICE / "board_nvs.py"
    code = f"exec(open({str(script)!r}).read())\ncounters('dice')\nerase('dice')"
    assert subprocess.run([unix_port.find(), "-c", code], capture_output=True, text=True).stdout == "0\n"
