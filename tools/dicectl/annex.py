# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The part of the demo that is on a serial bus: an emulated RP2040 with real firmware, and a gateway that has no key."""

import socket
import threading

from dicectl import emulator, micropython, mpy
from dicectl.nat import Gateway
from dicectl.stage import Node, files_of

HEAP_KB = 64
ADDRESS = "10.77.0.9"
_ARMV6M = mpy.Flavour(6 | 3 << 8 | 4 << 10)


def firmware(progress):
    """Return the path of the firmware, built where it is not there; raises Failure where it cannot be had."""
    emulator.check()
    return emulator.firmware(progress=progress)


def _program():
    """Return the files of firmware/app and of the demo's node, compiled for the board, which leave them a heap of HEAP_KB."""
    version = mpy.cross_version()
    sources = [path for path in micropython.APP.glob("*.py") if path.stem not in ("main", "manifest")]
    sources.append(micropython.NODE / "demo_node.py")
    files = {f"{path.stem}.mpy": mpy.compile_file(path, path.name, _ARMV6M, version) for path in sources}
    main = f"import gc\nheld = bytearray(gc.mem_free() - {HEAP_KB * 1024})\nimport demo_node\n"
    return {**files, "main.py": main.encode()}


class Board(Node):
    """The node on the bus; `flash_bytes` is what its files take, `bus` has all that was heard."""

    heap_kb = HEAP_KB

    def __init__(self, settings, image, group):
        """`group` is (address, port), which the gateway carries to the bus."""
        program = _program()
        self.flash_bytes = sum(map(len, program.values()))
        self._reset(settings["name"])
        self._board = emulator.Board(image, {**program, **files_of(settings, serial={"address": ADDRESS})}, name=self.name)
        self._out = self._board.console.makefile("rb")
        self.bus = emulator.Bus()
        self.bus.join(self.name, self._board.uarts[0])
        near, self._line = socket.socketpair()
        near.setblocking(False)
        self._near = near
        self.bus.join("gateway", self._line)
        self._stream = near.makefile("rwb", buffering=0)
        self.gateway = Gateway(self._stream, [group])
        self._open = True
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    @property
    def stdout(self):
        """The console, on which the node tells."""
        return self._out

    def start(self):
        """Power on."""
        self.forget()
        self._board.power_on()

    def kill(self):
        """Power off."""
        self._board.power_off()

    def alive(self):
        """Tell whether the power is on."""
        return True

    def write(self, line):
        """Give the node a line on its console."""
        self._board.check()
        self._board.console.sendall(line.encode() + b"\n")

    def close(self):
        """End it all."""
        self._open = False
        self._thread.join()
        self.bus.close()
        self.gateway.close()
        self._board.close()
        for stream in (self._out, self._stream, self._near, self._line):
            stream.close()

    def _carry(self):
        while self._open:
            self.gateway.step(0.05)
