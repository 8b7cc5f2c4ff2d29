# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The native module `_dice` beside dice on a board: which file it gets, and which old ones go.

A board that has it in its firmware gets none, since MicroPython takes what is built in. A module that is not the wanted one is
removed whenever dice is copied: dice refuses one of another version.
"""

from dataclasses import dataclass, field

from dicectl.board import places
from dicectl.errors import CommandError
from dicectl.firmware import mpy, native, prebuilt


@dataclass
class Choice:
    """`wanted` is {path: bytes} with one file or none, `places` the paths that may have an old one, `notes` for the user."""

    wanted: dict = field(default_factory=dict)
    places: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    built_in: bool = False
    ctr: bool = False  # whether cryptolib has the CTR mode

    def stale(self, present):
        """Return the paths of modules on the board that go."""
        return [path for path in self.places if path in present and path not in self.wanted]

    @property
    def loads(self):
        """Whether the board has the module afterwards."""
        return bool(self.wanted) or self.built_in

    def options(self):
        """Return the options of profiles.files()."""
        return {"ctr": self.ctr, "c_module": self.loads or None}


def choose(device, facts, to, profile, variant):
    """Return the Choice for a board to whose folder `to` dice is copied. `variant` is one of prebuilt.CHOICES, or None: by profile.

    Without an explicit variant, a board for which there is no module gets a note; with one, CommandError is raised.
    """
    device.load("board_facts.py")
    found = Choice(places=_places(facts, to), built_in=bool(device.call("c_module")))
    found.ctr = facts["platform"] == "esp32" and bool(device.call("ctr"))
    if found.built_in:
        return found
    asked, variant = variant, variant or (prebuilt.DEFAULT if profile == "public-keys" else prebuilt.NONE)
    if variant == prebuilt.NONE:
        return found
    try:
        flavour = mpy.Flavour(facts["mpy"])
        if (flavour.version, flavour.sub_version) != prebuilt.EMITTED:
            raise CommandError(f"native code is for .mpy {'.'.join(map(str, prebuilt.EMITTED))}; the board reads {flavour}")
        found.wanted[f"{to}/{native.NAME}"] = prebuilt.find(flavour.architecture, variant)
    except CommandError as failure:
        if asked:
            raise
        found.notes.append(f"without the module _dice, P-256 and AES-CCM are Python: {failure.format_message()}")
    return found


def _places(facts, to):
    """Return the paths of the module in every folder from which the board imports."""
    folders = [to, *(places.folder_of(facts, entry) for entry in facts["path"] if not entry.startswith(".frozen"))]
    stem = native.NAME.removesuffix(".mpy")
    return list(dict.fromkeys(f"{folder}/{stem}{end}" for folder in folders for end in (".mpy", ".py")))
