# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The boards that dice supports, and the facts about them from boards/boards.toml."""

import functools
from dataclasses import dataclass, field

from dicectl import resources
from dicectl.errors import USAGE, CommandError

SHOWN = ("manifest", "compiled", "built", "emulated", "hardware")  # what was done with a firmware for the board, in ascending order


@dataclass(frozen=True)
class BoardSpec:
    """One table of boards.toml, which explains each field. `name` is the name of the table and of the board's folder."""

    name: str
    title: str
    port: str
    chip: str
    mpy_arch: str
    aes: str
    network: bool
    shown: tuple
    note: str
    machine: str = ""
    since: str = "1.24"
    flash_bytes: int = 0
    ram_bytes: int = 0
    flash_offset: int = 0
    flashed_by: str | None = None
    uf2_family: int | None = None
    pins: dict = field(default_factory=dict, hash=False)

    @property
    def folder(self):
        """The board's definition: MicroPython's BOARD_DIR."""
        return resources.BOARDS / self.name

    @property
    def variants(self):
        """The names of the board's variants."""
        return tuple(sorted(path.stem.partition("_")[2] for path in self.folder.glob("mpconfigvariant_*.cmake")))

    @property
    def from_debian(self):
        """Whether the firmware can be built from Debian's packages, which have neither ESP-IDF nor drivers of radios."""
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
    """Return the BoardSpec with a name, in upper or lower case; raises CommandError, which lists all names."""
    board = load().get(name.upper())
    if board is None:
        raise CommandError(f"there is no board {name}; there are {', '.join(load())}", USAGE)
    return board


def with_firmware(name):
    """Return the BoardSpec with a name, as find() does; raises CommandError, too, if there is no firmware of ours for it."""
    board = find(name)
    if board.flashed_by is None:
        raise CommandError(
            f"there is no firmware of dice for {board.name}: flash MicroPython's own by the tools of its port, then dicectl deploy",
            USAGE,
        )
    return board


def of_machine(machine):
    """Return the BoardSpec whose firmware, or a variant of it, has `machine` in sys.implementation._machine, or None.

    A variant names itself between the board and the chip: "Generic ESP32 module with SPIRAM with ESP32". In some versions
    of MicroPython, the name of the chip has a hyphen.
    """
    return next((board for board in load().values() if board.machine and _ends(board.machine) == _ends(machine)), None)


def usual_pins():
    """Return the pins that programs use if a board has no pins.json: a Pico's."""
    return load()["RPI_PICO"].pins


def _ends(machine):
    parts = machine.split(" with ")
    return parts[0], parts[-1].replace("-", "")
