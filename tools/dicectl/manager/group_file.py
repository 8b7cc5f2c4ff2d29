# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The group file of `dicectl keyring`: the state of a group without a manager, from which GSAs are made.

The file is JSON, contains the master group key and is created 0600. Each change is made under a lock and replaces the file
atomically. So no two programs assign the same SenderID, and a crash leaves either the old file or the new one.
"""

import contextlib
import hashlib
import json
import os
import re
import secrets
from pathlib import Path

from dice import suites
from dice.group import gsa as codec
from dice.group.gsa import D00, K08
from dice.group.gsa_encode import encode, mul_id_of, sender_id_max, traffic_key
from dice.limits import KEY_RECORDS_MAX, SENDERS_MAX
from dice.store import sync
from dicectl import json_file, private_file, system
from dicectl.errors import USAGE, CommandError
from dicectl.net import address as multicast

VERSION = 1
LAYOUTS = {"k08": K08, "d00": D00}
DERIVATIONS = {"sender": codec.DERIVE_SENDER, "shared": codec.DERIVE_SHARED}
SUITES = {"ccm8": suites.PSK_AES_128_CCM_8, "ccm": suites.PSK_AES_128_CCM}
_FIRST_PRIVATE_PORT = 49152


def _fresh_keys():
    """Return the key material of one epoch, in hex."""
    return {"tgk": secrets.token_hex(16), "cs_id": secrets.token_hex(4), "rand": secrets.token_hex(16)}


def new(name, address=None, port=None, layout="k08", derive="sender", suite="ccm8", lifetime_s=0):
    """Return a new group as a dict. By default `port` is random, and `address` is random in the IPv4 local scope (RFC 2365)."""
    try:
        name.encode()
    except UnicodeError:
        raise CommandError("the name of a group is Unicode: choose another with --name", USAGE)
    address = address or multicast.draw()
    port = port or _FIRST_PRIVATE_PORT + secrets.randbelow(0x10000 - _FIRST_PRIVATE_PORT)
    return {
        "version": VERSION,
        "name": name,
        "gid": secrets.token_hex(4),
        "address": address,
        "port": port,
        "layout": layout,
        "derive": derive,
        "suite": suite,
        "lifetime_s": lifetime_s,
        "epoch": 1,
        **_fresh_keys(),
        "senders": [],
        "listeners": [],
    }


def rekey(group):
    """Begin the next epoch with a new master key. A device that does not get its GSA is no longer a member."""
    if group["epoch"] == 0xFFFF:
        raise CommandError("this is the last epoch: create a new group")
    group["epoch"] += 1
    group.update(_fresh_keys())
    for device in group["senders"] + group["listeners"]:
        device["exported"] = False


def add_sender(group, name, sender_id=None):
    """Add a sender and return its SenderID; the default is the lowest free one, from 1 on."""
    if len(group["senders"]) == SENDERS_MAX:
        raise CommandError(f"a group has at most {SENDERS_MAX} senders: create a second group", USAGE)
    return _add(group, "senders", name, sender_id)


def add_listener(group, name):
    """Add a listener that may answer, and return its ListenerID, the highest free one."""
    return _add(group, "listeners", name, None)


def _add(group, kind, name, device_id):
    """Add a device and return its id, which is unique among senders and listeners."""
    if not re.fullmatch(r"[\w.-]{1,64}", name):
        raise CommandError("a name is 1 to 64 letters, digits, . _ -", USAGE)
    devices = group["senders"] + group["listeners"]
    taken = {device["id"] for device in devices}
    if any(device["name"] == name for device in devices):
        raise CommandError(f"the group already has a {name}: choose another name", USAGE)
    highest = sender_id_max(LAYOUTS[group["layout"]])
    if device_id is None:
        free = range(1, highest + 1) if kind == "senders" else range(highest, 0, -1)
        device_id = next((i for i in free if i not in taken), None)
        if device_id is None:
            raise CommandError(f"layout {group['layout']} has no free id: create a group with --layout d00", USAGE)
    if not 0 <= device_id <= highest:
        raise CommandError(f"SenderID {device_id} is out of range: layout {group['layout']} allows 0 to {highest}", USAGE)
    if device_id in taken:
        raise CommandError(f"SenderID {device_id} is taken: two devices with the same one would repeat nonces", USAGE)
    group[kind].append({"id": device_id, "name": name, "exported": False})
    return device_id


def gsa(group, sender=None, listener=None):
    """Return the Gsa of the sender with that name, of the answering listener with that name, or of any other listener.

    The Gsa of a named device is returned once in an epoch, because a second device with it would repeat nonces. If a sender may
    have sent already, its sequence number is not known here, and its entry in the Gsa says "unknown".
    """
    if not group["senders"]:
        raise CommandError("the group has no sender yet: run dicectl keyring add-sender", USAGE)
    kind, name = ("senders", sender) if listener is None else ("listeners", listener)
    own = next((entry for entry in group[kind] if entry["name"] == name), None)
    if name is not None and own is None:
        names = ", ".join(entry["name"] for entry in group[kind]) or "none"
        raise CommandError(f"the group has no {kind[:-1]} {name}; it has: {names}", USAGE)
    if own and own["exported"]:
        raise CommandError(
            f"{name} was exported in this epoch: a second device with its GSA would repeat nonces. Add another, or rekey",
            USAGE,
        )
    base = group["epoch"] << 48
    known = [(entry["id"], codec.UNKNOWN if entry["exported"] else base) for entry in group["senders"]]
    if own:
        own["exported"] = True
    shared = group["derive"] == "shared"
    return codec.Gsa(
        gid=bytes.fromhex(group["gid"]),
        address=multicast.packed(group["address"]),
        port=group["port"],
        suite=SUITES[group["suite"]],
        layout=LAYOUTS[group["layout"]],
        derive=DERIVATIONS[group["derive"]],
        epoch=group["epoch"],
        key=_key(group),
        own_id=own["id"] if own else None,
        own_next=base if sender else 0,
        lifetime_s=group["lifetime_s"],
        budget=KEY_RECORDS_MAX // SENDERS_MAX if shared else KEY_RECORDS_MAX,
        senders=known,
        fresh=True,
    )


def _key(group):
    """Return the TEK of the epoch, followed by the salt if all senders share one key."""
    mul_id = mul_id_of(multicast.packed(group["address"]))
    rand = bytes.fromhex(group["rand"])
    tek = traffic_key(bytes.fromhex(group["tgk"]), mul_id, bytes.fromhex(group["cs_id"]), rand)
    return tek + rand[:4] if group["derive"] == "shared" else tek


def load(path):
    """Return the group in the file at `path`."""
    with _opened(path) as file:
        return _parse(path, file)


def create(path, group, dry_run=False):
    """Write a new group file; never overwrites one."""
    data = _encode(group)
    if dry_run:
        _vacant(path)
    else:
        write_secret(path, data)


@contextlib.contextmanager
def edit(path, dry_run=False):
    """Lock a group file, yield the group, and replace the file if the block ends without an exception, except in a dry run."""
    path = Path(path)
    with _locked(path):
        group = load(path)
        yield group
        data = _encode(group)
        if not dry_run:
            _replace(path, data)


@contextlib.contextmanager
def _locked(path):
    """Lock the group file at `path`, which the block may replace. Windows replaces no open file: there a file beside is locked."""
    if system.WINDOWS:
        _opened(path).close()
        with _writing(path):
            descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT)
        try:
            system.lock(descriptor)
            yield
        finally:
            os.close(descriptor)
        return
    while True:
        with _opened(path) as file:
            with _writing(path):
                system.lock(file.fileno())
            # Another program may have replaced the file while this one waited for the lock.
            if path.exists() and os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                yield
                return


def export(path, target, sender=None, listener=None, dry_run=False):
    """Write the GSA of a sender, of an answering listener, or of any other listener, to the new file `target`; return the group.

    The group file says "exported" before `target` contains the GSA. A crash in between wastes a SenderID; in the other order,
    two devices could get the same one. Errors are raised before that: the GSA is first written to a file beside the empty `target`.
    """
    if dry_run:
        _vacant(target)
        with edit(path, dry_run) as group:
            encode(gsa(group, sender, listener))
        return group
    write_secret(target, b"")
    temporary = _beside(target)
    try:
        temporary.unlink(missing_ok=True)
        with edit(path) as group:
            write_secret(temporary, encode(gsa(group, sender, listener)), target)
        with _writing(target):
            os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        Path(target).unlink(missing_ok=True)
        raise
    with _writing(target):
        sync(Path(target).parent)
    return group


def write_secret(path, data, final=None):
    """Write a new file that only its owner can read; if it raises CommandError, there is no file.

    Errors name the file `final`, if `path` is a temporary one for it.
    """
    _vacant(path)
    final = final or path
    try:
        file = private_file.create(path)
    except OSError as error:
        raise CommandError(f"cannot write {final}: {error.strerror}", USAGE)
    with _writing(final):
        private_file.fill(file, path, data)


def _vacant(path):
    """Raise CommandError if a file can obviously not be created at `path`."""
    if not os.fspath(path):
        raise CommandError("the name of the file is empty", USAGE)
    if os.path.lexists(path):
        raise CommandError(f"{path} already exists: remove it first, or choose another name", USAGE)
    if not os.access(Path(path).parent, os.W_OK | os.X_OK):
        raise CommandError(f"cannot write {path}: its folder does not exist or is not writable", USAGE)


def _replace(path, data):
    """Replace a file atomically by one that only its owner can read; raises CommandError."""
    temporary = _beside(path)
    temporary.unlink(missing_ok=True)
    write_secret(temporary, data, path)
    try:
        with _writing(path):
            os.replace(temporary, path)
            sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _beside(path):
    """Return a path for a temporary file in the folder of `path`: always the same, so that the next attempt removes an old one."""
    return Path(path).parent / f".dice-{hashlib.sha256(os.fsencode(Path(path).name)).hexdigest()[:16]}.tmp"


@contextlib.contextmanager
def _writing(path):
    """Turn the OSError of a block that writes `path` into a CommandError."""
    try:
        yield
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}")


def _encode(group):
    """Return the bytes of a group file, after the checks that load() makes."""
    _check(group)
    return (json.dumps(group, indent=2) + "\n").encode()


def _opened(path):
    try:
        return private_file.opened(path, "the keys of a group")
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}; dicectl keyring new creates a group", USAGE)


def _parse(path, file):
    with json_file.checked(path, "a group file", "restore it from a backup, or create a new group"):
        group = json_file.decode(file.read())
        version = group["version"]
        if version == VERSION:
            group.setdefault("listeners", [])  # older versions wrote no listeners
            _check(group)
    if version != VERSION:
        raise CommandError(f"{path} is a group file of version {version}; this dicectl reads version {VERSION}", USAGE)
    return group


def _check(group):
    """Raise ValueError, TypeError, KeyError or AttributeError if a group is not as new() and add_sender() create it."""
    for key, length in (("gid", 4), ("tgk", 16), ("cs_id", 4), ("rand", 16)):
        if len(bytes.fromhex(group[key])) != length:
            raise json_file.Malformed(f"its {key} is wrong")
    for key, known in (("layout", LAYOUTS), ("derive", DERIVATIONS), ("suite", SUITES)):
        if group[key] not in known:
            raise json_file.Malformed(f"its {key} is wrong")
    for key, low, high in (("port", 1, 0xFFFF), ("epoch", 1, 0xFFFF), ("lifetime_s", 0, (1 << 32) - 1)):
        if type(group[key]) is not int or not low <= group[key] <= high:
            raise json_file.Malformed(f"its {key} is wrong")
    multicast.packed(group["address"])
    if not isinstance(group["name"], str):
        raise json_file.Malformed("its name is wrong")
    devices = group["senders"] + group["listeners"]
    ids = {s["id"] for s in devices if isinstance(s["name"], str) and isinstance(s["exported"], bool)}
    if (
        len(ids) != len(devices)
        or len(group["senders"]) > SENDERS_MAX
        or any(type(i) is not int or not 0 <= i <= 0xFFFF for i in ids)
    ):
        raise json_file.Malformed("its senders or listeners are wrong")
