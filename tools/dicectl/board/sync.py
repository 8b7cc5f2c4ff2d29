# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Plans a deploy by comparing hashes, then applies it.

dice is one file, a bundle; of one that is already there, only the modules that changed are sent. Each file is written under a
temporary name and hashed on the board. When all hashes are right, the files are renamed together. If the cable is pulled out, each
file is either the old or the new one, and complete; the next deploy does the rest, and removes temporary files.

On request dice is a folder of files instead. If the board has no dice yet, the whole folder has a temporary name and appears in one
step. A folder `dice` precedes a file `dice.mpy` when a board imports, so the folder is renamed away after the file is complete, and
a bundle is removed after the folder is complete.
"""

import base64
import contextlib
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from dicectl import resources
from dicectl.board import bundled, c_module, contents, needs, places
from dicectl.board.raw_repl import DeviceError
from dicectl.errors import USAGE, CommandError
from dicectl.firmware import bundle, mpy, profiles

_TEMPORARY = ".new"
_AS_SOURCE = ("main.py", "boot.py")  # boards run these as source only, from the folder in which they start
_CHUNK_BYTES = 1023  # of one call, as 1364 characters of base64
OLDEST = (1, 24)
NO_NETWORK = (
    "the firmware has no network, which dice.join and dice.connect need: flash that of a board with a radio, or take part over a "
    "serial line (docs/boards.md)"
)


@dataclass
class DeployPlan:
    """`wanted` and `copies` are {path on the board: bytes}, `removals` paths; the rest is information for the user."""

    board: str
    port: str
    flavour: mpy.Flavour
    about_dice: str
    wanted: dict
    copies: dict
    removals: list
    top: str  # the folder in which the board starts
    block_bytes: int
    free_bytes: int
    staged: str | None  # the folder that appears in one step
    retired: str | None = None  # the folder that disappears in one step
    steps: dict = field(default_factory=dict)  # {path: from bundled.steps()} of a file that is not sent as a whole
    notes: list = field(default_factory=list)

    def temporary(self, path):
        """Return the name under which a file is first written."""
        if self.staged and path.startswith(self.staged + "/"):
            return self.staged + _TEMPORARY + path.removeprefix(self.staged)
        return path + _TEMPORARY

    @property
    def unchanged(self):
        """Return the number of files that are up to date."""
        return len(self.wanted) - len(self.copies)

    @property
    def flash_bytes(self):
        """Return the space of the wanted files in the file system, at most: whole blocks, of which a folder takes two."""
        folders = {path[:at] for path in self.wanted for at in range(1, len(path)) if path[at] == "/"}
        return (_blocks(self.wanted.values(), self.block_bytes) + 2 * len(folders)) * self.block_bytes

    @property
    def sent_bytes(self):
        """Return the bytes that cross the cable, before they are encoded."""
        return sum(len(step[2] or b"") for path, data in self.copies.items() for step in self.steps_of(path, data))

    def steps_of(self, path, data):
        """Return the steps of a file, as from bundled.steps()."""
        return self.steps.get(path) or [(None, None, data)]

    def as_dict(self):
        """Return the values for --json, without the contents of files."""
        return {
            "board": self.board,
            "port": self.port,
            "mpy": str(self.flavour),
            "dice": self.about_dice,
            "copied": {path: len(data) for path, data in self.copies.items()},
            "sent_bytes": self.sent_bytes,
            "removed": self.removals,
            "unchanged": self.unchanged,
            "flash_bytes": self.flash_bytes,
            "notes": self.notes,
        }


def _blocks(contents, block):
    return sum(bundle.blocks(len(data), block) for data in contents)


def gather(paths, to):
    """Return {path on the board: file on the host} for the PATH arguments; raises CommandError (usage).

    Paths begin at the folder in which the board starts, which is not known yet: see places.placed().
    """
    found = {}
    for argument in paths:
        source, _, name = argument.partition("=")
        if not source:
            raise CommandError(f"{argument or 'an empty argument'} has no PATH: give PATH, or PATH=NAME", USAGE)
        source = Path(source)
        if source.is_dir():
            top = name or source.resolve().name
            if not top:
                raise CommandError(f"{source} has no name that a folder on a board could have: give {source}=NAME", USAGE)
            inside = [path for path in sorted(source.rglob("*")) if path.is_file() and not _hidden(path.relative_to(source))]
            found.update({f"{top}/{path.relative_to(source).as_posix()}": path for path in inside})
        elif source.is_file():
            found[name or source.name] = source
        else:
            raise CommandError(f"there is no file or folder {source}", USAGE)
    for name in found:
        if name.startswith("/") or any(part in ("", ".", "..") for part in name.split("/")):
            raise CommandError(f"{name} cannot be the name of a file on a board", USAGE)
    contents.check(found)
    return {f"/{name}" if name in _AS_SOURCE else f"{to}/{name}": path for name, path in found.items()}


def _hidden(path):
    return any(part.startswith(".") or part == "__pycache__" for part in path.parts)


def _examine(device):
    """Return the facts of a board, the dices on it, the modules that it lacks, and its room; raises CommandError."""
    device.load("board_facts.py")
    (facts,) = device.call("identity")
    installed = device.call("installed")
    (missing,) = device.call("missing")
    if {"hashlib", "binascii"} & set(missing):
        raise CommandError("the board's MicroPython lacks hashlib or binascii, which deploy and dice need: flash another firmware")
    return facts, installed, missing, places.room(device, facts)


def _in_place(facts, sources, to):
    """Return the sources by their full paths on the board, the paths that it runs as source, and the full path of `to`."""
    started = {places.placed(facts, f"/{name}") for name in _AS_SOURCE}
    return {places.placed(facts, path): source for path, source in sources.items()}, started, places.placed(facts, to)


def plan(device, sources, to, profile, force, as_files=False, check=True, native=None):
    """Return the DeployPlan that copies `sources`, as from gather(), and dice to the folder `to`; raises CommandError.

    dice is a bundle, or a folder of files if `as_files` or if files of the user would be lost or hide it otherwise. `check`: refuse
    programs that cannot run on this board. `native`: the variant of the module `_dice`, see c_module.choose().
    """
    facts, installed, missing, space = _examine(device)
    sources, started, to = _in_place(facts, sources, to)
    if check:
        needs.check(device, sources)
    frozen = next((version for entry, _, version, _ in installed if entry == ".frozen"), None)
    flavour = mpy.Flavour(facts["mpy"])
    esp32 = facts["platform"] == "esp32"
    goes = profile != "none" and (force or not frozen)
    module = c_module.choose(device, facts, to, profile, native) if goes else c_module.Choice()
    names = profiles.files(profile, native=bool(flavour.architecture), esp32=esp32, **module.options()) if goes else []
    if check and names:
        needs.check_profile(sources, profile)
    folder = f"{to}/dice" if names else None
    pins = needs.pins(facts["machine"], sources, places.root(facts))
    wanted = _compiled(sources, to, flavour, started)
    present = _present(device, wanted | pins | dict.fromkeys(module.places, b""), folder)
    wanted |= module.wanted | {path: data for path, data in pins.items() if path not in present}
    form = None if folder is None else bundled.Form(device, names, folder, flavour, mpy.cross_version())
    if form:
        form.choose(present, wanted, as_files)
        wanted = (form.wanted or _compiled({f"{to}/{name}": resources.LIB / name for name in names}, to, flavour)) | wanted
    result = DeployPlan(
        board=f"{facts['machine']}, MicroPython {'.'.join(map(str, facts['version']))}",
        port=device.port,
        flavour=flavour,
        about_dice=_about(names, frozen, form and form.where, profile),
        wanted=wanted,
        copies={path: data for path, data in wanted.items() if present.get(path) != _hash(data)},
        removals=_removals(wanted, present, folder, form, module),
        top=facts["cwd"],
        block_bytes=space["block"],
        free_bytes=space["flash_free"],
        staged=None if form is None or form.wanted or device.call("exists", folder)[0] else folder,
        retired=form.retired(present) if form else None,
        steps=form.steps if form else {},
    )
    result.notes = _notes(facts, installed, to, form and form.where, wanted, present, result.removals)
    result.notes += needs.notes(facts["machine"], sources, pins, present, places.root(facts))
    result.notes += (form.notes if form else []) + module.notes + ([NO_NETWORK] if "network" in missing else [])
    return result


def differences(device, folder, facts):
    """Return the modules of the dice in `folder`, or of a bundle of this name, that are not this one's, or that lack.

    In a folder, they may be its sources, the sources that mip installs, or what `dicectl deploy` compiles. Sources among compiled
    modules count as different, since their private names are.
    """
    top = folder.removesuffix("/dice")
    flavour = mpy.Flavour(facts["mpy"])
    esp32 = facts["platform"] == "esp32"
    if folder.endswith("/" + bundle.FILE):
        return bundled.differences(device, folder, flavour, mpy.cross_version(), esp32)
    sources = {f"{top}/{name}": resources.LIB / name for name in profiles.files()}
    compiled = _compiled(sources, top, flavour)
    device.load("board_files.py")
    present = dict(device.call("look", folder))
    wrong = []
    any_compiled = any(_twin(path) in present for path in sources)
    for (path, source), data in zip(sources.items(), compiled.values()):
        by_mip = mpy.source_for_mip(path.removeprefix(f"{top}/")).encode()
        readable = set() if any_compiled else {_hash(source.read_bytes()), _hash(by_mip)}
        wanted = {path: readable, _twin(path): {_hash(data)}}
        if any(present[name] not in digests for name, digests in wanted.items() if name in present):
            wrong.append(path.removeprefix(folder + "/"))
    needed = {f"{top}/{name}" for name in profiles.files("group", native=bool(flavour.architecture), esp32=esp32)}
    lacking = [path for path in sources if path in needed and path not in present and _twin(path) not in present]
    return wrong + [path.removeprefix(folder + "/") for path in lacking]


def _about(names, frozen, where, profile):
    from dice import __version__

    if names:
        return f"{__version__}, profile {profile}, {len(names)} modules, to {where}" + (
            f", before the frozen {frozen}" if frozen else ""
        )
    return f"{frozen} is frozen into the firmware: not copied (--force does)" if frozen else "not asked for"


def _compiled(sources, to, flavour, started=()):
    """Return {path: bytes}: Python compiled, except the paths `started`, which boards run as source; the rest as it is."""
    emitted = mpy.cross_version()
    mpy.check(flavour, emitted)
    wanted = {}
    for path, source in sources.items():
        if source.suffix == ".py" and path not in started:
            name = path.removeprefix(to).lstrip("/")
            wanted[path.removesuffix(".py") + ".mpy"] = mpy.compile_file(source, name, flavour, emitted)
        else:
            wanted[path] = source.read_bytes()
            if path in started:
                mpy.compile_file(source, path.rpartition("/")[2], flavour, emitted)  # so that its errors are found here
    return wanted


def _hash(data):
    return hashlib.sha256(data).hexdigest()


def _twin(path):
    """Return the other file that the same module could be imported from."""
    return path[:-3] + ".mpy" if path.endswith(".py") else path[:-4] + ".py" if path.endswith(".mpy") else None


def _present(device, wanted, folder):
    """Return {path: SHA-256} of the files on the board that the plan may replace or remove."""
    device.load("board_files.py")
    places = [f"{folder}{end}" for end in ("", _TEMPORARY, ".mpy", ".mpy" + _TEMPORARY, ".py")] if folder else []
    for path in wanted:
        if not folder or not path.startswith(folder + "/"):
            places += [path, path + _TEMPORARY, *([_twin(path)] if _twin(path) else [])]
    return {path: digest for place in dict.fromkeys(places) for path, digest in device.call("look", place)}


def _removals(wanted, present, folder, form, module):
    """Return the paths that go: files that are stale, the other form of dice, modules `_dice` that are not the wanted one."""
    found = _stale(wanted, form.kept(present), folder) + form.replaced(present) if form else _stale(wanted, present, None)
    return list(dict.fromkeys(found + module.stale(present)))


def _stale(wanted, present, folder):
    """Return the files to remove: other forms of a module, modules for hosts, and temporary files of an interrupted deploy."""
    needless = {path.relative_to(resources.LIB).as_posix() for path in resources.LIB.glob("dice/**/*.py")} - {*profiles.files()}
    never = {folder + name.removeprefix("dice") for name in needless} if folder else set()  # of a plain copy of lib/dice, say
    never |= {_twin(path) for path in never}
    twins = {_twin(path) for path in wanted}
    rests = {path for path in present if path.endswith(_TEMPORARY)}
    if any(path.startswith(f"{folder}{_TEMPORARY}/") for path in present):
        rests.add(folder + _TEMPORARY)
    return sorted(rests | {path for path in present if path in twins or path in never})


def _notes(facts, installed, to, where, wanted, present, removals):
    """Return notes for the user; `where` is the folder or the bundle of dice."""
    notes = []
    if tuple(facts["version"][:2]) < OLDEST:
        notes.append(f"dice needs MicroPython {'.'.join(map(str, OLDEST))} or later: flash a newer one (dicectl flash)")
    path = facts["path"]
    mine = next((i for i, entry in enumerate(path) if places.folder_of(facts, entry) == to), None)
    if mine is None:
        notes.append(f"{to or '/'} is not in the board's sys.path {path}: the program has to add it")
    for entry, file, _, _ in installed if where else ():
        if mine is not None and path.index(entry) < mine:
            notes.append(f"{file or entry} precedes {where} in the board's sys.path: the board does not run the copied files")
    strange = [path for path in present if where and path.startswith(where + "/") and path not in wanted and path not in removals]
    if strange:
        notes.append(f"not part of this dice, not changed: {', '.join(sorted(strange))}")
    return notes


def apply(device, plan, progress):
    """Apply a DeployPlan; calls progress(path, bytes written, bytes of the file). On CommandError, all old files are intact."""
    need = _blocks(plan.copies.values(), plan.block_bytes) * plan.block_bytes
    if need > plan.free_bytes:
        raise CommandError(
            f"the board has {plan.free_bytes:,} bytes of flash free, but {need:,} are needed: remove files (mpremote rm)"
        )
    renames = [(plan.temporary(path), path) for path in plan.copies]
    if plan.staged:
        renames = [(source, path) for source, path in renames if not path.startswith(plan.staged + "/")]
        renames.append((plan.staged + _TEMPORARY, plan.staged))
    temporary = [source for source, _ in renames]
    if plan.retired:
        renames.append((plan.retired, plan.retired + _TEMPORARY))
    rests = [path for path in plan.removals if path.endswith(_TEMPORARY)]
    try:
        device.call("commit", [], rests)
        for path, data in plan.copies.items():
            _write(device, path, plan.temporary(path), data, progress, plan.steps_of(path, data))
        removals = [path + _TEMPORARY if path == plan.retired else path for path in plan.removals if path not in rests]
        device.call("commit", renames, removals)
        plan.free_bytes = device.call("room", plan.top)[0]["flash_free"]
    except (DeviceError, CommandError) as error:
        with contextlib.suppress(DeviceError, CommandError):
            device.call("commit", [], temporary)
        if isinstance(error, CommandError):
            raise
        raise CommandError(f"the board's file system failed: {error}; nothing was changed")


def _write(device, path, temporary, data, progress, steps):
    """Write a file under a temporary name from `steps`, as from bundled.steps(), and compare its hash."""
    answer, done = None, 0
    for at, count, sent in steps:
        for begin in range(0, len(sent) or 1, _CHUNK_BYTES) if at is None else (0,):
            piece = None if sent is None else sent[begin : begin + _CHUNK_BYTES]
            first, end = done == 0, done + (count if piece is None else len(piece))
            if piece is None:
                answer = device.call("keep", temporary, path, at, count, first, end >= len(data))
            else:
                answer = device.call("put", temporary, base64.b64encode(piece).decode(), first, end >= len(data))
            done = end
            progress(path, min(done, len(data) - 1), len(data))
    if answer != [_hash(data)]:
        raise CommandError(f"{path} was damaged in transfer; nothing was changed: try again")
    progress(path, len(data), len(data))


def call(device, function, *arguments):
    """Call a function of board_files.py and return the values that it printed; raises CommandError."""
    device.load("board_files.py")
    try:
        return device.call(function, *arguments)
    except DeviceError as error:
        raise CommandError(f"the board's file system failed: {error}")


def put(device, path, data):
    """Write one file to a board atomically; raises CommandError."""
    device.load("board_files.py")
    try:
        _write(device, path, path + _TEMPORARY, data, lambda *_: None, [(None, None, data)])
        device.call("commit", [(path + _TEMPORARY, path)], [])
    except DeviceError as error:
        raise CommandError(f"the board's file system failed: {error}; nothing was changed")


def remove(device, doomed):
    """Remove the files of a board for which `doomed(path)` is true; paths begin in the folder in which it starts."""
    device.load("board_files.py")
    device.call("commit", [], [path for path, _ in device.call("look", "") if doomed(path)])
