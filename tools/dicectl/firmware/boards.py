# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The boards that dice is for, and the facts about them, as boards/boards.toml has them."""

import functools
from dataclasses import dataclass

from dicectl import resources
from dicectl.errors import USAGE, CommandError

SHOWN = ("manifest", "compiled", "built", "emulated", "hardware")  # what can be done with a firmware, least first


@dataclass(frozen=True)
class BoardSpec:
    """One table of boards.toml, which says what each field means; `name` is its folder's and the table's."""

    name: str
    title: str
    port: str
    chip: str
    machine: str
    flash_bytes: int
    ram_bytes: int
    flash_offset: int
    mpy_arch: str
    aes: str
    network: bool
    flashed_by: str
    shown: tuple
    note: str
    uf2_family: int | None = None

    @property
    def folder(self):
        """The board's definition, which MicroPython's make takes as BOARD_DIR."""
        return resources.BOARDS / self.name

    @property
    def from_debian(self):
        """Whether Debian's packages have all that its firmware is built from: they lack ESP-IDF and the drivers of radios."""
        return self.port == "rp2" and not self.network


@functools.cache
def load():
    """Return {name: BoardSpec}, in the order of boards.toml."""
    try:
        import tomllib
    except ImportError:  # Python 3.10
        import tomli as tomllib
    tables = tomllib.loads((resources.BOARDS / "boards.toml").read_text())
    return {name: BoardSpec(name, **{**facts, "shown": tuple(facts["shown"])}) for name, facts in tables.items()}


def find(name):
    """Return a BoardSpec by its name, in any case; raises CommandError, which lists them."""
    board = load().get(name.upper())
    if board is None:
        raise CommandError(f"there is no board {name}; there are {', '.join(load())}", USAGE)
    return board


def of_machine(machine):
    """Return the BoardSpec whose firmware says `machine` in sys.implementation._machine, or None."""
    return next((board for board in load().values() if board.machine == machine), None)
