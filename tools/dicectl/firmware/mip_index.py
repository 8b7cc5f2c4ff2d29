# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A static index of compiled packages for MicroPython's `mip`, in the format of micropython.org/pi/v2, for any web server.

    FOLDER/ARCHITECTURE/package/6/dice-group/latest.json     and VERSION.json: which files, by their hashes
    FOLDER/ARCHITECTURE/file/1a/1a2b3c4d                     a file: the bundle of this profile (bundle.py)
    FOLDER/package/6/...                                     the same without native code, for any board, and slower
    FOLDER/package/py/...                                    sources, for mip.install(..., mpy=False)
    FOLDER/index.json                                        an overview for people and scripts

mip asks an index for the version of the .mpy format alone, so each architecture is an index of its own. Files of earlier versions
stay, so that `mip.install("dice", version=...)` finds them.
"""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

from dice import __version__
from dicectl import json_file
from dicectl.errors import CommandError
from dicectl.firmware import bundle, mpy, native, prebuilt, profiles

PACKAGES = {"dice": "full", "dice-psk": "psk", "dice-group": "group", "dice-public-keys": "public-keys"}
NATIVE = {"dice-native": "fast", "dice-native-small": "small"}  # the module _dice, which dice-public-keys depends on
# Firmware for a Cortex-M3 or an M4 without a floating point unit says armv7em, never armv7m.
ARCHITECTURES = (*prebuilt.THUMB, "xtensa", "xtensawin", "rv32imc", "x64")
_UNIX = ("x64", "x86")  # architectures of the unix port, which needs more modules
_NO_ESP32 = (*prebuilt.THUMB, *_UNIX)
_HASH_DIGITS = 8
_THREADS = 4


def collect(architectures=ARCHITECTURES, progress=lambda _text: None):
    """Return ({path in the folder: bytes}, overview) of an index without its index.json; raises CommandError.

    The overview's "without_native" are the architectures whose packages lack `_dice`, {architecture: why}.
    """
    emitted = mpy.cross_version()
    files, overview, without = {}, {}, {}
    for architecture in (None, *architectures):
        progress(architecture or "bytecode")
        top = f"{architecture}/" if architecture else ""
        made = _bundles(architecture, emitted)
        overview[architecture or ""] = {
            name: {"bytes": len(data), "blocks": bundle.blocks(len(data), 4096)} for name, data in made.items()
        }
        modules = _native(architecture, emitted, without)
        overview[architecture or ""] |= {name: {"bytes": len(data)} for name, data in modules.items()}
        for name, data in {**made, **modules}.items():
            deps = [["dice-native", __version__]] if name == "dice-public-keys" and modules else []
            file = native.NAME if name in NATIVE else bundle.FILE
            files |= _package(f"{top}package/{emitted[0]}/{name}", top, {file: data}, deps)
    progress("sources")
    for name, profile in PACKAGES.items():
        sources = {path: mpy.source_for_mip(path).encode() for path in sorted(profiles.files(profile, unix=profile == "full"))}
        files |= _package(f"package/py/{name}", "", sources)
    about = {
        "version": __version__,
        "mpy": emitted[0],
        "mpy_sub_version": emitted[1],
        "packages": overview,
        "without_native": without,
    }
    return files, about


def _native(architecture, emitted, without):
    """Return {package: bytes of _dice.mpy} for an architecture; if there is none, say why in `without`."""
    if architecture is None:
        return {}
    try:
        if emitted != prebuilt.EMITTED:
            raise CommandError("mpy-cross writes another version than native code has")
        return {name: prebuilt.find(architecture, variant) for name, variant in NATIVE.items()}
    except CommandError as failure:
        without[architecture] = failure.format_message()
        return {}


def with_overview(folder, files, about):
    """Return the files and index.json, which keeps what one of this version in the folder says of other architectures."""
    try:
        old = json_file.decode((folder / "index.json").read_bytes())
        kept = old["packages"] if old["version"] == about["version"] and old["mpy"] == about["mpy"] else {}
        packages = {**kept, **about["packages"]}
    except (OSError, ValueError, KeyError, TypeError):
        packages = about["packages"]
    return files | {"index.json": _json({**about, "packages": packages})}


def _bundles(architecture, emitted):
    """Return {package: bytes of its bundle} for an architecture, or None for bytecode."""
    flavour = mpy.flavour_here(architecture)
    wanted = {
        name: profiles.files(profile, unix=architecture in _UNIX, native=bool(architecture), esp32=architecture not in _NO_ESP32)
        for name, profile in PACKAGES.items()
    }
    sources = sorted({file for files in wanted.values() for file in files})
    with ThreadPoolExecutor(_THREADS) as pool:
        paths = [bundle.source(file) for file in sources]
        done = pool.map(lambda path, file: mpy.compile_file(path, file, flavour, emitted), paths, sources)
    compiled = dict(zip(sources, done))
    return {
        name: bundle.joined(bundle.parts(files, flavour, emitted, lambda _path, file, *_: compiled[file]))
        for name, files in wanted.items()
    }


def _package(place, top, contents, deps=()):
    """Return the files of an index of one package: {path: bytes}."""
    hashes = {name: hashlib.sha256(data).hexdigest()[:_HASH_DIGITS] for name, data in contents.items()}
    found = {f"{top}file/{hashes[name][:2]}/{hashes[name]}": data for name, data in contents.items()}
    about = _json({"v": 1, "version": __version__, "hashes": list(map(list, hashes.items())), "deps": list(deps)})
    return found | {f"{place}/{version}.json": about for version in ("latest", __version__)}


def _json(value):
    return (json.dumps(value, indent=1) + "\n").encode()


def changed(folder, files):
    """Return the paths whose files in `folder` differ, or lack."""
    return [path for path, data in files.items() if not (folder / path).is_file() or (folder / path).read_bytes() != data]


def write(folder, files, paths):
    """Write these paths, contents before the packages that name them; raises CommandError."""
    try:
        for path in sorted(paths, key=lambda path: ("/package/" in f"/{path}", path == "index.json")):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(files[path])
    except OSError as error:
        raise CommandError(f"{folder / path} cannot be written: {error.strerror}")
