# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The part of the demo that is on a serial bus: an emulated RP2040 with real firmware, and a gateway that has no key."""

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
    """Return the path of the firmware, built where it is not there; raises CommandError where it cannot be had."""
    board.check()
    return board.firmware(progress=progress)


def _program():
    """Return the files of firmware/app and of the demo's node, compiled for the board, which leave them a heap of HEAP_KB."""
    sources = [path for path in resources.APP.glob("*.py") if path.stem != "main"]
    sources.append(resources.ON_DEVICE / "demo_node.py")
    files = {f"{path.stem}.mpy": mpy.compile_here(path, path.name, "armv6m") for path in sources}
    main = f"import gc\nheld = bytearray(gc.mem_free() - {HEAP_KB * 1024})\nimport demo_node\n"
    return {**files, "main.py": main.encode()}


class EmulatedNode(Node):
    """The node on the bus; `flash_bytes` is what its files take, `bus` has all that was heard."""

    heap_kb = HEAP_KB

    def __init__(self, settings, image, group):
        """`group` is (address, port), which the gateway carries to the bus."""
        program = _program()
        self.flash_bytes = sum(map(len, program.values()))
        self._reset(settings["name"])
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
        self._stack.close()
