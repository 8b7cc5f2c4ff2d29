# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A double of a connected board, for `dicectl footprint --port`."""

from dice import __version__
from dicectl.board.raw_repl import DeviceError
from dicectl.measure import on_board

MPY = 6 | 3 << 8 | 4 << 10  # of an RP2040


class SmallBoard:
    """A board whose heap is full in the middle of the first script."""

    emulated = False

    def __init__(self, mpy):
        self.port = "small"
        self.mpy = mpy
        self.cleared = 0

    def load(self, script):
        """Do nothing."""

    def call(self, function, *arguments):
        """Answer as board_facts.py does."""
        facts = {
            "machine": "Small",
            "version": [1, 26, 0],
            "preview": False,
            "platform": "rp2",
            "build": "",
            "mpy": self.mpy,
            "cwd": "/",
        }
        answers = {"identity": [facts], "installed": [["", "dice.mpy", __version__, None]]}
        return answers.get(function, [("device (AES in hardware)", None)])

    def run(self, code):
        """Answer what measures the heap before."""
        self.cleared += on_board.FOLDER in code
        return "4000 60000 16\n" if "mem_alloc" in code else "[(100, 40, 30, 20)]"

    def restart(self):
        """Do nothing."""

    def follow(self, code, consumer):
        """Fail after two stages."""
        consumer(b'{"stage": "start", "used": 5000, "unit": 16, "idf": [[100, 40, 30, 20]]}\n')
        consumer(b'{"stage": "imported", "used": 25000, "unit": 16, "idf": [[100, 30, 20, 10]], "store": 400}\n')
        raise DeviceError("MemoryError: memory allocation failed, allocating 2048 bytes")
