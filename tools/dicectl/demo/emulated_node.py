# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The node of the demo on a serial bus: an emulated RP2040 with real firmware, and a gateway without keys."""

import contextlib
import socket

from dicectl import resources
from dicectl.demo.nodes import Node, files_of
from dicectl.emulator import board
from dicectl.emulator.bus import Bus
from dicectl.firmware import mpy
from dicectl.net.slip_gateway import Gateway, at_work

HEAP_KB = 64
ADDRESS = "10.77.0.9"


def firmware(progress):
    """Return the path of the firmware, which is built if necessary; raises CommandError."""
    board.check()
    return board.firmware(progress=progress)


def _program():
    """Return the compiled files of firmware/app and of the demo's node, and a main.py that leaves them a heap of HEAP_KB."""
    sources = [path for path in resources.APP.glob("*.py") if path.stem != "main"]
    sources.append(resources.ON_DEVICE / "demo_node.py")
    files = {f"{path.stem}.mpy": mpy.compile_here(path, path.name, "armv6m") for path in sources}
    main = f"import gc\nheld = bytearray(gc.mem_free() - {HEAP_KB * 1024})\nimport demo_node\n"
    return {**files, "main.py": main.encode()}


class EmulatedNode(Node):
    """The node on the bus; `flash_bytes` is the size of its files, `bus` has all bytes that were sent on it."""

    heap_kb = HEAP_KB

    def __init__(self, settings, image, group):
        """`group` is (address, port) of the group that the gateway forwards to the bus."""
        super().__init__(settings["name"])
        program = _program()
        self.flash_bytes = sum(map(len, program.values()))
        self._board = board.EmulatedBoard(image, {**program, **files_of(settings, serial={"address": ADDRESS})}, name=self.name)
        self._stack = contextlib.ExitStack()
        self._stack.callback(self._board.close)
        self._out = self._stack.enter_context(self._board.console.makefile("rb"))
        near, far = (self._stack.enter_context(end) for end in socket.socketpair())
        near.setblocking(False)
        stream = self._stack.enter_context(near.makefile("rwb", buffering=0))
        self.bus = self._stack.enter_context(Bus())
        self.bus.join(self.name, self._board.uarts[0])
        self.bus.join("gateway", far)
        self._stack.enter_context(at_work(Gateway(stream, [group])))

    @property
    def stdout(self):
        """The console, to which the node prints reports."""
        return self._out

    def start(self):
        """Power on."""
        self.forget()
        self._board.power_on()

    def kill(self):
        """Power off."""
        self._board.power_off()

    def alive(self):
        """Return whether the power is on."""
        return True

    def write(self, line):
        """Send the node a line on its console."""
        self._board.check()
        self._board.console.sendall(line.encode() + b"\n")

    def close(self):
        """Stop the board, the bus and the gateway."""
        self._stack.close()
