# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The files of a provisioned node, node.json and its GSAs: in a folder, or on a connected board."""

import functools
import importlib.util
import json
import os
import re
from pathlib import Path

from dice.errors import DiceError, StoreError
from dice.reasons import E_STORE_SHARED
from dice.store import FileStore
from dicectl import json_file, resources, system
from dicectl.board import nvs, sync
from dicectl.board.raw_repl import Device, DeviceError
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.manager.group_file import write_secret
from dicectl.text import printable

FILE = "node.json"  # on a board in the folder in which it starts, which is the current one: "/flash" on an STM32
_SALT_BYTES = 32
# Names of node.json, GSAs and counters, with the temporary files of an interrupted write.
_OURS = re.compile(r"node\.json.*|member\.socket|[^/]+\.gsa.*|[0-9a-f]{8}[a-z][0-9a-f]{4}(\..*)?|\.dice-\w+\.tmp")


def decode(path, data):
    """Return the settings in the bytes of the node.json at `path`; raises CommandError unless all keys and managers can be used."""
    with json_file.checked(path, "a file of dicectl provision", "dicectl provision replace writes it anew", OSError):
        settings = json_file.decode(data)
        settings["identity"].encode()
        for name, key in (("key", settings), ("next key", settings.get("next", settings))):
            try:
                app_managers().credentials_of(key, settings)
            except (*json_file.WRONG, DiceError):
                raise json_file.Malformed(f"its {name} is wrong")
        for manager in managers(Path(path).parent, settings).listed():
            if not isinstance(manager["host"], str) or type(manager["port"]) is not int or not 0 < manager["port"] < 0x10000:
                raise json_file.Malformed("a manager is wrong")
        if not all(isinstance(group, str) for group in settings.get("groups", ())):
            raise json_file.Malformed("a group is wrong")
    return settings


def managers(folder, settings):
    """Return the Managers of a node in `folder`, with which this computer connects: those of firmware/app, which nodes have too.

    `settings` is the contents of its node.json.
    """
    return app_managers().Managers(settings, str(Path(folder) / FILE))


@functools.cache
def app_managers():
    """Return the module firmware/app/managers.py."""
    spec = importlib.util.spec_from_file_location("managers", resources.APP / "managers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lock(folder):
    """Return a FileStore of a folder, which is locked until that is deleted; raises CommandError if another process has it.

    A node on the unix port can lock nothing, but would write its counters and keys again after they have been removed.
    """
    try:
        store = FileStore(str(folder))
    except StoreError:
        raise in_use(folder, system.holder(folder))
    if node := system.nodes_in(folder):
        raise in_use(folder, node)
    return store


def in_use(folder, holder):
    """Return the CommandError for a folder that another process has locked."""
    return CommandError(f"E{E_STORE_SHARED}: {folder} is in use by {holder}: end it, or wait for it")


def open_target(folder, port):
    """Return a target of `dicectl provision`, a context manager: a folder, a board at a port, or the only board with USB."""
    if folder and port:
        raise CommandError("a device is a folder (--to) or a board (--port): give one of them", USAGE)
    return FolderTarget(folder) if folder else BoardTarget(port)


def _occupied(what, found):
    """Return the CommandError for a place where a node is already; `found` is its name, or None if its node.json is damaged."""
    found = found and printable(str(found))
    if not found:
        return CommandError(f"{what} a device whose {FILE} is damaged: --force overwrites it", USAGE)
    hint = f"dicectl provision wipe {found}, or replace {found}"
    return CommandError(f"{what} {found}, whose key would be lost: {hint}; --force overwrites it", USAGE)


def _stored(settings):
    """Return the configuration of a device without what its registry alone keeps."""
    return {name: value for name, value in settings.items() if name != "fingerprint"}


def _why_no_key(error):
    """Return why a board has made no key, for its exception."""
    if error.startswith(("ImportError", "AttributeError")):
        return "dice on this board has no public keys: dicectl deploy --profile public-keys, or firmware built so"
    return f"the board has made no key: {error}"


class FolderTarget:
    """A folder: of a node on the unix port, or of this computer as a member."""

    def __init__(self, folder):
        self._folder = Path(folder)
        self._lock = None
        self._private = None  # the key that make_key() has made, until write()

    def __enter__(self):
        if self._folder.is_dir():
            self._lock = lock(self._folder)  # who counts there would go on
        return self

    def __exit__(self, *_):
        self._lock = None

    def check(self, name=None, force=False):
        """Raise CommandError if there is a node already. `name`: whose files may be there; `force`: any may."""
        path = self._folder / FILE
        if force or not path.exists():
            return
        try:
            found = json_file.decode(path.read_bytes()).get("name")
        except (OSError, ValueError):
            found = None
        if name is None or found != name:
            raise _occupied(f"{path} already exists: it is", found)

    def make_key(self):
        """Make a private key, which write() writes and nobody else learns; return its public key, a point."""
        from dice.crypto import curve  # slow to import

        self._private = curve.generate(os.urandom)
        return curve.public(self._private)

    def write(self, settings):
        """Write node.json, readable by its owner only, and return where it is; raises CommandError."""
        settings = _stored(settings)
        if self._private:
            settings = {**settings, "private": self._private.hex()}
            self._private = None
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(f"cannot create {self._folder}: {error.strerror}", USAGE)
        if (self._folder / FILE).exists():  # check() has allowed it
            self.erase()
        write_secret(self._folder / FILE, json.dumps(settings).encode())
        return str(self._folder / FILE)

    def erase(self):
        """Remove node.json, and all GSAs and counters."""
        try:
            for path in self._ours():
                path.unlink(missing_ok=True)
            rest = self._ours()
        except OSError as error:
            raise CommandError(f"cannot remove the files in {self._folder}: {error.strerror}", FAILED)
        if rest:  # where nodes_in() sees nothing
            raise CommandError(f"another program writes {rest[0].name} in {self._folder} again: end it", FAILED)

    def _ours(self):
        """Return the files that provisioning or dice has written."""
        return [path for path in self._folder.iterdir() if _OURS.fullmatch(path.name)] if self._folder.is_dir() else []


class BoardTarget:
    """A connected board. It is opened before the manager changes anything."""

    def __init__(self, port):
        self._device = Device(port)
        self._had_one = False  # a node was there
        self._point = None  # of the key that the board has made, until write()

    def __enter__(self):
        self._device.__enter__()
        return self

    def __exit__(self, *details):
        self._device.__exit__(*details)

    def check(self, name=None, force=False):
        """Raise CommandError if the board is a node already. `name`: which it may be; `force`: any."""
        found = sync.call(self._device, "named", FILE)
        self._had_one = bool(found)
        if found and not force and (name is None or found[0][0] != name):
            raise _occupied("this board is", found[0][0])

    def make_key(self):
        """Let the board make a private key, which never leaves it; return its public key, a point. Raises CommandError."""
        self._device.restart()  # its program may have left no memory for that
        self._device.load("board_keys.py")
        try:
            (found,) = self._device.call("new_key", os.urandom(_SALT_BYTES).hex())
        except DeviceError as error:
            raise CommandError(_why_no_key(str(error)), FAILED)
        self._point = bytes.fromhex(found)
        return self._point

    def _write_key(self, settings):
        """Let the board write node.json with the key that it has made; raises CommandError if it cannot be read back."""
        try:
            stored = self._device.call("keep_key", FILE, json.dumps(settings))
        except DeviceError as error:
            raise CommandError(f"the board has not stored its key: {error}", FAILED)
        if stored != [self._point.hex()]:
            raise CommandError("the board has stored another key than it has made: its file system is damaged", FAILED)
        self._point = None

    def write(self, settings):
        """Write node.json and return where it is; keys and counters of a node that was there are removed. Raises CommandError."""
        settings = _stored(settings)
        if self._point:
            self._write_key(settings)
        else:
            sync.put(self._device, FILE, json.dumps(settings).encode())
        if self._had_one:
            sync.remove(self._device, lambda path: path != FILE and _OURS.fullmatch(path.rpartition("/")[2]))
            nvs.erase(self._device)
        return f"{FILE} on {self._device.port}"

    def erase(self):
        """Remove node.json, and all GSAs and counters."""
        sync.remove(self._device, lambda path: _OURS.fullmatch(path.rpartition("/")[2]))
        nvs.erase(self._device)
