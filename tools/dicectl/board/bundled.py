# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A bundle on a board (firmware/bundle.py): what of it is up to date, and what has to be sent; board/sync.py does the rest."""

import hashlib

from dicectl import resources
from dicectl.firmware import bundle, profiles


def on_board(device, path):
    """Return {SHA-256: (offset, bytes, name)} of the parts of a bundle on the board; it is empty if there is none."""
    device.load("board_files.py")
    return {digest: (at, count, _name(name)) for name, at, count, digest in device.call("parts", path)}


def _name(name):
    """Return the file of lib/ of an entry of the index."""
    return f"dice{name}.py" if name else ""


def steps(parts, old):
    """Return [(offset, bytes, None) or (None, None, data)]: what to take from the old bundle, as from on_board(), and what to send.

    Neighbours are one step.
    """
    found = []
    for part in parts:
        at, count, _ = old.get(hashlib.sha256(part.data).hexdigest(), (None, None, None))
        before = found[-1] if found else (None, None, None)
        if at is None and before[2] is not None:
            found[-1] = (None, None, before[2] + part.data)
        elif at is None:
            found.append((None, None, part.data))
        elif before[2] is None and before[0] is not None and before[0] + before[1] == at:
            found[-1] = (before[0], before[1] + count, None)
        else:
            found.append((at, count, None))
    return found


def differences(device, path, flavour, emitted, esp32):
    """Return the modules of a bundle on a board, an ESP32 or not, that are not those of this dice, or that lack."""
    native = bool(flavour.architecture)
    present = {name: digest for digest, (_, _, name) in on_board(device, path).items() if name}
    made = bundle.parts(profiles.files(native=native), flavour, emitted)
    wanted = {part.name: hashlib.sha256(part.data).hexdigest() for part in made}
    needed = {name for name in profiles.files("group", native=native, esp32=esp32) if name in wanted}
    wrong = {name for name in present if present[name] != wanted.get(name)}
    return sorted(name.removeprefix("dice/") for name in wrong | needed - present.keys())


class Form:
    """Which form dice gets on a board. After choose(), `where` is the folder or the file, and `wanted` the bundle, {path: bytes}.

    `wanted` is empty if dice is a folder of files; `steps` is for DeployPlan, `notes` for the user.
    """

    def __init__(self, device, names, folder, flavour, emitted):
        self.where = folder
        self.wanted = {}
        self.steps = {}
        self.notes = []
        self._device = device
        self._folder = folder
        self._file = folder + ".mpy"
        self._parts = bundle.parts(names, flavour, emitted)
        self._old = {}

    def choose(self, present, others, as_files):
        """Decide; `present` are the files on the board, {path: SHA-256}, `others` the paths that the user wants to copy."""
        data = bundle.joined(self._parts)
        if self._file in present and present[self._file] != hashlib.sha256(data).hexdigest():
            self._old = on_board(self._device, self._file)
            self.steps = {self._file: steps(self._parts, self._old)} if self._old else {}
        elif self._file in present:
            self._old = {"": (0, len(data), "")}  # it is this one
        if as_files:
            return
        if obstacles := self._obstacles(present, others):
            self.notes.append(
                f"dice stays a folder of files, which take more flash than one file, because of {', '.join(obstacles)}"
            )
            return
        self.where, self.wanted = self._file, {self._file: data}

    def _obstacles(self, present, others):
        """Return the user's files that would be hidden by the bundle, hide it, or be lost with the folder."""
        mine = [path for path in others if path.startswith(self._folder + "/") or path in (self._file, self._folder + ".py")]
        hiding = [path for path in present if path == self._folder + ".py" or (path == self._file and not self._old)]
        ours = known()
        inside = [path for path in present if path.startswith(self._folder + "/") and not path.endswith(".new")]
        return sorted({*mine, *hiding, *(path for path in inside if "dice" + path.removeprefix(self._folder) not in ours)})

    def kept(self, present):
        """Return the files whose removal sync.py decides on."""
        return [path for path in present if not self.wanted or not path.startswith(self._folder + "/")]

    def retired(self, present):
        """Return the folder if it goes, else None."""
        return self._folder if len(self.kept(present)) < len(present) else None

    def replaced(self, present):
        """Return what goes because dice has the other form now: a folder, or a bundle."""
        if self.wanted:
            return [self._folder] if self.retired(present) else []
        return [self._file] if self._old else []


def known():
    """Return the names below lib/ of everything that a copy of dice may have, compiled or not."""
    files = [path.relative_to(resources.LIB).as_posix() for path in resources.LIB.glob("dice/**/*")]
    return {*files, *(name[:-3] + ".mpy" for name in files if name.endswith(".py"))}
