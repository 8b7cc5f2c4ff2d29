# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A test double of the serial ROM boot loader of ESP32s of all kinds, and of esptool's stub, on a pseudo-terminal.

It implements the part of Espressif's serial protocol that esptool 5 needs to erase, write and verify: SLIP frames, the registers
that esptool reads, and 4 MB of flash in which programming only clears bits, so a write without an erase gives wrong data. It does
not model reset lines, baud rates, timing or real flash chips. The stub that esptool uploads is accepted and never run.
"""

import hashlib
import os
import select
import struct
import threading
import tty
import zlib
from dataclasses import dataclass

FLASH_BYTES = 4 << 20
_SECTOR = 4096
_MAGIC_REG = 0x40001000
_FLASH_ID = 0x1640EF  # Winbond, 4 MB
_READ_ID = 0x9F
_INVALID = b"\x01\x05"


@dataclass(frozen=True)
class Chip:
    """The values by which esptool recognises a chip, and the register addresses of its flash controller."""

    magic: int | None
    chip_id: int | None
    spi: int
    usr2: int
    w0: int


CHIPS = {
    "esp32": Chip(0x00F01D83, None, 0x3FF42000, 0x24, 0x80),
    "esp32s3": Chip(None, 9, 0x60002000, 0x20, 0x58),
    "esp32c3": Chip(None, 5, 0x60002000, 0x20, 0x58),
    "esp32s2": Chip(0x000007C6, None, 0x3F402000, 0x20, 0x58),
    "esp32c5": Chip(None, 23, 0x60003000, 0x20, 0x58),
    "esp32c6": Chip(None, 13, 0x60003000, 0x20, 0x58),
    "esp32h2": Chip(None, 16, 0x60003000, 0x20, 0x58),
    "esp32p4": Chip(None, 18, 0x5008D000, 0x20, 0x58),
}
_CRYSTAL = {0x3FF40014: 40_000_000 // 115_200}


def _frames(buffer):
    """Remove complete SLIP frames (RFC 1055) from a bytearray and yield them."""
    while (end := buffer.find(b"\xc0", 1)) > 0:
        frame = bytes(buffer[:end]).strip(b"\xc0")
        del buffer[: end + 1]
        if frame:
            yield frame.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")


class RomLoader:
    """A context manager. `port` is the path for esptool, `flash` the content of the flash, `commands` the received commands."""

    def __init__(self, chip="esp32", fill=0xA5):
        self.chip = CHIPS[chip]
        self.flash = bytearray([fill]) * FLASH_BYTES  # as if the flash had been used before
        self.commands = []
        self.damage = None  # the offset of a worn byte, which cannot be written
        self._registers = {_MAGIC_REG: self.chip.magic or 0, **_CRYSTAL}
        self._stub = False
        self._at = 0
        self._inflate = None
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._open = True
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._open = False
        self._thread.join()
        os.close(self._master)
        os.close(self._slave)

    def _serve(self):
        buffer = bytearray()
        while self._open:
            if select.select([self._master], (), (), 0.05)[0]:
                buffer += os.read(self._master, 1 << 16)
                for frame in _frames(buffer):
                    self._take(frame)

    def _send(self, body):
        body = body.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
        os.write(self._master, b"\xc0" + body + b"\xc0")

    def _take(self, frame):
        direction, op, size, _ = struct.unpack("<BBHI", frame[:8])
        handler = self._HANDLERS.get(op)
        self.commands.append(op)
        if direction != 0 or len(frame) != size + 8:
            return
        answer = handler(self, frame[8:]) if handler else _INVALID
        if isinstance(answer, int):  # a register value without data
            value, data = answer, b"\0\0"
        elif answer == _INVALID:
            value, data = 0, answer
        else:
            value, data = 0, (answer or b"") + b"\0\0"
        if not self._stub:
            data += b"\0\0"  # the status of the ROM has 4 bytes
        for _ in range(8 if op == 0x08 else 1):
            self._send(struct.pack("<BBHI", 1, op, len(data), value) + data)
        if op == 0x06 and not self._stub:  # MEM_END: the stub starts and announces itself
            self._stub = True
            self._send(b"OHAI")

    def _sync(self, _data):
        return 0 if self._stub else 0x20120707

    def _read_reg(self, data):
        return self._registers.get(struct.unpack("<I", data)[0], 0)

    def _write_reg(self, data):
        address, value = struct.unpack("<II", data[:8])
        self._registers[address] = value
        if address == self.chip.spi and value:  # the flash controller executes a command at once
            self._registers[address] = 0
            command = self._registers.get(self.chip.spi + self.chip.usr2, 0) & 0xFF
            self._registers[self.chip.spi + self.chip.w0] = _FLASH_ID if command == _READ_ID else 0

    def _nothing(self, _data):
        return None

    def _security_info(self, _data):
        if self.chip.chip_id is None:
            return _INVALID
        return struct.pack("<IB7sII", 0, 0, bytes(7), self.chip.chip_id, 0)

    def _erase(self, start, size):
        first, end = start // _SECTOR * _SECTOR, -(-(start + size) // _SECTOR) * _SECTOR
        self.flash[first:end] = b"\xff" * (end - first)

    def _program(self, data):
        """Clear bits, as programming flash does."""
        old = int.from_bytes(self.flash[self._at : self._at + len(data)], "little")
        new = (old & int.from_bytes(data, "little")).to_bytes(len(data), "little")
        self.flash[self._at : self._at + len(data)] = new
        if self.damage is not None and self._at <= self.damage < self._at + len(data):
            self.flash[self.damage] ^= 0x10
        self._at += len(data)

    def _flash_begin(self, data):
        size, _, _, self._at = struct.unpack("<IIII", data[:16])
        self._erase(self._at, size)

    def _flash_data(self, data):
        size = struct.unpack("<I", data[:4])[0]
        self._program(data[16 : 16 + size])

    def _deflate_begin(self, data):
        self._flash_begin(data)
        self._inflate = zlib.decompressobj()

    def _deflate_data(self, data):
        size = struct.unpack("<I", data[:4])[0]
        self._program(self._inflate.decompress(data[16 : 16 + size]))

    def _md5(self, data):
        start, size = struct.unpack("<II", data[:8])
        digest = hashlib.md5(self.flash[start : start + size])
        return digest.digest() if self._stub else digest.hexdigest().encode()

    def _erase_flash(self, _data):
        if not self._stub:
            return _INVALID
        return self._erase(0, FLASH_BYTES)

    def _erase_region(self, data):
        return self._erase(*struct.unpack("<II", data[:8])) if self._stub else _INVALID

    _HANDLERS = {
        0x02: _flash_begin,
        0x03: _flash_data,
        0x04: _nothing,  # FLASH_END
        0x05: _nothing,  # MEM_BEGIN
        0x06: _nothing,  # MEM_END
        0x07: _nothing,  # MEM_DATA
        0x08: _sync,
        0x09: _write_reg,
        0x0A: _read_reg,
        0x0B: _nothing,  # SPI_SET_PARAMS
        0x0D: _nothing,  # SPI_ATTACH
        0x0F: _nothing,  # CHANGE_BAUDRATE
        0x10: _deflate_begin,
        0x11: _deflate_data,
        0x12: _nothing,  # FLASH_DEFL_END
        0x13: _md5,
        0x14: _security_info,
        0xD0: _erase_flash,
        0xD1: _erase_region,
    }
