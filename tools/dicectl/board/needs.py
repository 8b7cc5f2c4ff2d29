# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The needs of a program: modules of the firmware, which it may lack, those of a profile of dice, and the pins of boards.toml.

Both are read off its sources: main.py, boot.py, and the modules that these import when they start. An import counts unless it is in
a `try` or an `if`: such a program can do without.
"""

import ast
import json

import dice
from dicectl import json_file, resources
from dicectl.errors import CommandError
from dicectl.firmware import boards, profiles

PINS = "pins.json"
_STARTED = ("boot.py", "main.py")
_SOME_FIRMWARE_LACKS = (  # modules in C that depend on the port, or on the board
    "_thread",
    "bluetooth",
    "cryptolib",
    "esp32",
    "espnow",
    "network",
    "rp2",
    "socket",
    "ssl",
    "tls",
)
# Verbs that use sockets: {verb: (the argument that replaces them, its place if it may be given by position)}
_BY_UDP = {"join": ("transport", 2), "attach": ("transport", 2), "connect": ("network", 99), "serve": ("network", 99)}
_UDP = "dice.transport.udp"
_SOCKETS = (
    "flash the firmware of a board with a network, or take part over a serial line, as firmware/examples/bus.py and the option "
    '"serial" of firmware/app do'
)


def check(device, sources):
    """Raise CommandError if a program in {path on the board: file here} needs a module that the firmware of a Device lacks.

    board_facts.py is loaded.
    """
    wanted = {}  # {module: (path, why)}
    for path, tree in _started(sources):
        for module, why in _needs(tree, sources):
            wanted.setdefault(module, (path, why))
    lacking = device.call("lacks", sorted(wanted))[0] if wanted else ()
    for module in lacking:
        path, why = wanted[module]
        advice = _SOCKETS if module in ("socket", "network") else "flash a firmware that has it"
        raise CommandError(
            f"{path} cannot run on this board: {why} needs `{module}`, which its firmware lacks: {advice}; "
            "--no-check copies it anyway"
        )


def check_profile(sources, profile):
    """Raise CommandError if such a program uses a name of dice whose module the profile does not have."""
    has = {name: set(profiles.files(name)) for name in profiles.names()}
    for path, tree in _started(sources):
        used = {name: module for name, module in _used(tree) if any(module in files for files in has.values())}
        lacking = [name for name, module in used.items() if module not in has[profile]]
        if lacking:
            others = " or ".join(f"--profile {name}" for name, files in has.items() if files.issuperset(used.values()))
            raise CommandError(
                f"{path} cannot run with profile {profile}, which lacks {', '.join(lacking)}: choose {others}; "
                "--no-check copies it anyway"
            )


def _used(tree):
    """Yield (name, file in lib/) of what a program uses of dice for certain; an import in a function may wait for an option."""
    imported = {name for node in _certain(tree, functions=False) for name in _imported(node)}
    called = {alias.asname or alias.name for node in _certain(tree) if isinstance(node, ast.Import) for alias in node.names}
    if "dice" in called:
        imported |= {ast.unparse(node) for node in _certain(tree) if isinstance(node, ast.Attribute)}
    for name in sorted(imported):
        if name.startswith("dice."):
            module = _module_of(name)
            if module:
                yield name, module


def _module_of(name):
    """Return the file in lib/ of a name such as "dice.join" or "dice.transport.udp", or None if there is no file for it."""
    parts = name.split(".")
    for end in range(len(parts), 1, -1):
        path = "/".join(parts[:end]) + ".py"
        if (resources.LIB / path).is_file():
            return path
    home = "dice.coap.codes" if parts[1].isupper() else getattr(getattr(dice, parts[1], None), "__module__", None)
    return home and home.replace(".", "/") + ".py"


def _started(sources):
    """Yield (path on the board, syntax tree) of each program that starts with the board."""
    paths = {path.rpartition("/")[2]: path for path in reversed(sources)}
    names = [name for name in _STARTED if name in paths]
    for name in names:
        try:
            tree = ast.parse(sources[paths[name]].read_text())
        except (SyntaxError, ValueError):
            continue  # the compiler says more about it
        yield paths[name], tree
        imported = [f"{module}.py" for node in _certain(tree, functions=False) for module in _imported(node)]
        names += [each for each in imported if each in paths and each not in names]


def _needs(tree, sources):
    """Yield (module, what needs it) of one program."""
    own = {path.rpartition("/")[2].removesuffix(".py") for path in sources}
    imported = {name for node in _certain(tree) for name in _imported(node)}
    for name in {name.partition(".")[0] for name in imported} - own:
        if name in _SOME_FIRMWARE_LACKS:
            yield name, f"`import {name}`"
    if _UDP in imported:
        yield "socket", f"`{_UDP}`"
    if _is_without_line(sources) and "link" in imported:
        yield "socket", 'a node whose app.json has no "serial"'
    verbs = _verbs(tree)
    for node in ast.walk(tree):
        verb = verbs.get(ast.unparse(node.func)) if isinstance(node, ast.Call) else None
        if verb:
            argument, place = _BY_UDP[verb]
            if len(node.args) <= place and not any(keyword.arg in (None, "transport", "network") for keyword in node.keywords):
                yield "socket", f"`dice.{verb}` without the argument `{argument}`"


def _imported(node):
    """Return the names of the modules that a node may import, if it is an import."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def _verbs(tree):
    """Return {what a program calls it: verb of dice}."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.asname or alias.name for alias in node.names if alias.name == "dice"]
            found.update({f"{name}.{verb}": verb for name in names for verb in _BY_UDP})
        elif isinstance(node, ast.ImportFrom) and node.module == "dice":
            found.update({alias.asname or alias.name: alias.name for alias in node.names if alias.name in _BY_UDP})
    return found


def _certain(node, functions=True):
    """Yield the nodes below `node` that are in no `try` and in no `if`, and in no function unless `functions`."""
    left_out = (ast.Try, ast.If) if functions else (ast.Try, ast.If, ast.FunctionDef, ast.AsyncFunctionDef)
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, left_out):
            yield child
            yield from _certain(child, functions)


def _is_without_line(sources):
    """Return whether the sources have an app.json that does not configure a serial line."""
    path = next((source for path, source in sources.items() if path.rpartition("/")[2] == "app.json"), None)
    try:
        return path is not None and "serial" not in json_file.decode(path.read_bytes())
    except ValueError:
        return False


def pins(machine, sources, root=""):
    """Return {path on the board: bytes} of the pins.json that programs need on a board, if boards.toml has its pins.

    `root` is the folder in which the board starts, from which they read it.
    """
    path = f"{root}/{PINS}"
    board = boards.of_machine(machine)
    if not board or not board.pins or board.pins == boards.usual_pins() or path in sources or not _read_pins(sources):
        return {}
    return {path: json.dumps(board.pins).encode()}


def notes(machine, sources, made, present, root=""):
    """Return notes for the user about pins; `made` is the result of pins(), `present` are the files on the board."""
    path = f"{root}/{PINS}"
    if made:
        if path in present:
            return [f"{path} is on the board already and stays as it is"]
        return [f"{path} gets the pins of {boards.of_machine(machine).name} in docs/boards.md: edit it for another wiring"]
    board = boards.of_machine(machine)
    if (board and board.pins) or path in present or path in sources or not _read_pins(sources):
        return []
    return [f"no pins of {machine} are known: name them in a file pins.json, such as {json.dumps(boards.usual_pins())}"]


def _read_pins(sources):
    return any(source.suffix == ".py" and b"pins.json" in source.read_bytes() for source in sources.values())
