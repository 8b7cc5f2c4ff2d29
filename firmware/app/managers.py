# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The managers that a node connects to and the key that it connects with: node.json, which the manager changes over the session.

Each change is stored beside what it replaces, which is removed when a session has proved the change. So neither a power cut nor a
mistake leaves a node that cannot connect. docs/protocol.md, section 15, has the resources; dicectl uses this file too.
"""

import asyncio
import errno
import json
import os
from binascii import hexlify, unhexlify

import dice
from dice import BAD_REQUEST, CHANGED, POST, PUT, DiceError, Psk, replace_file
from dice.aio.wait import wait_for

MANAGERS_MAX = 8
_HOST_MAX_BYTES = 253
_KEY_BYTES = 16
_ROUND_S = 30  # for all managers and keys, if there are several: each has its share, so one that is there is found in time
_TRY_S = 3  # at least for one of them; retransmissions are after 1, 3 and 7 s
_LOOK_UP_S = 7  # for a name; a name server that does not answer is asked for 6 s
_NEXT_LOOK_UP_S = 2  # for each further one after that
_TIMER_MS = 1000
_GARBLED = (ValueError, TypeError, AttributeError, RuntimeError, DiceError)  # what else than such a JSON body raises


async def _as_it_is(host):
    return host


class Managers:
    """The contents of node.json, and their changes.

    * "managers": [{"host", "port"}, ...], or "manager" alone, as in older files; "before": one of the former list.
    * "identity", "key"; "next": {"identity", "key"} that no session has proved yet.
    * A node with a raw public key has "private" instead of "key", as its "next" has, which it makes itself; "servers": the public
      keys of its managers, points.
    * One with a certificate has "chain", "anchors" and "server", the name in the certificate of the manager, too. Its "next" has
      the same key and another "chain"; "since": a time that is certainly over, of the newest certificate that has proved itself;
      "pins", which may be added: fingerprints of keys, of which the chain of the manager must have one.

    `routes` are the resources for a session with the manager, and for nobody else.
    """

    def __init__(self, settings, path="node.json", look_up=_as_it_is):
        """`look_up(host)` is awaited before connecting, and returns an address, or a name that the system knows; raises OSError."""
        self.routes = {"dice/managers": {PUT: self._put_managers}, "dice/key": {PUT: self._put_key, POST: self._make_key}}
        if "chain" in settings:
            self.routes["dice/certificate"] = {PUT: self._put_certificate}
        self._settings = settings
        self._path = path
        self._look_up = look_up
        self._found = {}  # {host: the address that was found last}
        self._last = None  # {"host", "port"} of the latest session
        self._key = settings  # {"identity", "key"} or {"private"} of it

    def listed(self):
        """Return [{"host", "port"}, ...]: that of the latest session, the list, and what it has replaced."""
        found = [self._last] if self._last else []
        settings = self._settings
        if "manager" not in settings and "managers" not in settings:  # node.json is damaged
            raise OSError(errno.ENOENT, "no manager")
        for manager in (settings.get("managers") or [settings["manager"]]) + settings.get("before", []):
            if manager not in found:
                found.append(manager)
        return found

    def prefer(self, manager):
        """Try `manager`, one of listed(), first from now on."""
        self._last = manager

    def recalled(self, source):
        """Prefer the manager at the address `source`, from which a session was recalled: maybe one that has taken over.

        A name is not looked up here, because that could block, but by connect() or look_up_all() before.
        """
        for manager in self.listed():
            host = self._found.get(manager["host"], manager["host"])
            if _short(source) in _addresses(host, manager["port"]):
                self.prefer(manager)
                break

    async def look_up_all(self):
        """Look up the names of all managers, so that a recall by any of them is understood, also without a name server."""
        for manager in self.listed():
            try:
                if manager["host"] not in self._found:
                    await self._look_up_host(manager["host"])
            except OSError:
                pass  # connect() looks it up again

    async def _look_up_host(self, host):
        found = await self._look_up(host)
        self._found[host] = found
        return found

    async def connect(self, network=None, timer_ms=_TIMER_MS, timeout_s=60):
        """Return a Connection with the first manager that answers; raises the last error if none does.

        With more than one of them it takes _ROUND_S at most, or _TRY_S for each manager and key, and what look-ups take.
        """
        settings = self._settings
        keys = [settings["next"], settings] if "next" in settings else [settings]
        managers = self.listed()
        tries = len(managers) * len(keys)
        if tries > 1:
            timeout_s = min(timeout_s, max(_TRY_S, _ROUND_S / tries))
        failure, look_up_s = None, _LOOK_UP_S
        for manager in managers:
            try:
                host = await wait_for(self._look_up_host(manager["host"]), look_up_s)
            except (OSError, MemoryError, ValueError, asyncio.TimeoutError) as error:  # ValueError: no host can have this name
                failure = error if isinstance(error, OSError) else OSError(errno.EINVAL)
                look_up_s = _NEXT_LOOK_UP_S
                continue
            for key in keys:
                try:
                    address, credentials = (host, manager["port"]), credentials_of(key, settings)
                    connection = await dice.connect(address, credentials, network=network, timer_ms=timer_ms, timeout_s=timeout_s)
                except (DiceError, OSError, MemoryError) as error:
                    failure = error
                except ValueError:  # a name that no host can have
                    failure = OSError(errno.EINVAL)
                else:
                    self._proved(manager, key)
                    return connection
        raise failure

    def _proved(self, manager, key):
        """Remove what the manager and the key of a session have replaced."""
        self._last = manager
        self._key = key
        settings = dict(self._settings)
        if key is settings.get("next"):
            settings.update(settings.pop("next"))
        if manager in settings.get("managers", ()):
            settings.pop("before", None)
        try:
            self._store(settings)
        except DiceError:
            pass  # after the next handshake

    def _store(self, settings):
        if settings != self._settings:
            replace_file(self._path, json.dumps(settings).encode())
            self._settings = settings

    def _put_managers(self, request, _session):
        """Take a JSON list of managers. That of this session is kept until one of the list has answered."""
        try:
            managers = [_manager(**each) for each in json.loads(request.payload)]
        except _GARBLED:
            managers = ()
        if not 0 < len(managers) <= MANAGERS_MAX:
            return BAD_REQUEST, b""
        settings = dict(self._settings)
        settings["managers"] = managers
        settings["manager"] = managers[0]  # for a program that knows no list
        if self._last and self._last not in managers:
            settings["before"] = [self._last]
        else:
            settings.pop("before", None)
        self._store(settings)
        return CHANGED, b""

    def _put_key(self, request, _session):
        """Take {"identity", "key"}. Those of this session are kept until the others have been used."""
        if "private" in self._key:
            return BAD_REQUEST, b""
        try:
            following = _key(**json.loads(request.payload))
        except _GARBLED:
            return BAD_REQUEST, b""
        settings = dict(self._settings)
        settings.update(identity=self._key["identity"], key=self._key["key"])
        settings["next"] = following
        self._store(settings)
        return CHANGED, b""

    def _make_key(self, _request, _session):
        """Make a key pair and return its public key, a point. That of this session is kept until the other has been used.

        One that was made and not used yet stays: the answer may have been lost.
        """
        from dice.crypto import curve

        if "private" not in self._key or "chain" in self._settings:
            return BAD_REQUEST, b""
        settings = dict(self._settings)
        if settings.get("next", self._key)["private"] == self._key["private"]:
            settings["private"] = self._key["private"]
            settings["next"] = {"private": hexlify(curve.generate(os.urandom)).decode()}
            self._store(settings)
        return CHANGED, curve.public(unhexlify(settings["next"]["private"]))

    def _put_certificate(self, request, _session):
        """Take another certificate of our key and name, and its issuers, as kx_cert has them: those of this session are kept until
        the others have been used.
        """
        from dice.dtls.kx_cert import read_chain
        from dice.wire import Reader
        from dice.x509.certificate import Certificate

        settings = dict(self._settings)
        present = self._key["chain"]
        try:
            chain = read_chain(Reader(request.payload))
            leaf, own = Certificate(chain[0]), Certificate(unhexlify(present[0]))
            since = max(leaf.not_before, settings.get("since", 0))
            is_ours = leaf.point == own.point and leaf.names[0] == own.names[0] and leaf.not_after >= since
        except _GARBLED + (IndexError,):
            is_ours = False
        if not is_ours:
            return BAD_REQUEST, b""
        chain = [hexlify(each).decode() for each in chain]
        if chain != present:
            settings["chain"] = present
            settings["next"] = {"private": self._key["private"], "chain": chain, "since": since}
            self._store(settings)
        return CHANGED, b""


def credentials_of(key, settings):
    """Return what dice.connect() takes, for a key of `settings`."""
    if "chain" in settings:
        from dice.dtls.kx_cert import Certificate
        from dice.x509.chain import Trust

        chain, anchors = ([unhexlify(each) for each in found] for found in (key["chain"], settings["anchors"]))
        pins = [unhexlify(pin) for pin in settings.get("pins", ())]
        trust = Trust(anchors, pins, key.get("since", 0))
        return Certificate(unhexlify(key["private"]), chain, trust, settings["server"], clock=None)
    if "private" in key:
        from dice.dtls.kx_rpk import RawPublicKey  # only where it is needed, and there

        return RawPublicKey(unhexlify(key["private"]), [unhexlify(point) for point in settings["servers"]])
    return Psk(key["identity"].encode(), unhexlify(key["key"]))


def _short(address):
    """Return an address in the form in which it can be compared: without what only IPv6 has, or MicroPython's unix port's bytes."""
    return bytes(address) if isinstance(address, (bytes, bytearray)) else tuple(address[:2])


def _addresses(*address):
    """Return the addresses of a manager that was looked up, also in the form in which datagrams come from it."""
    try:
        import socket  # not on all boards

        if not hasattr(socket, "SO_LINGER") and address[0].strip("0123456789.") and ":" not in address[0]:
            return [address]  # a name: on a board, looking it up would block
        return [address] + [_short(found[-1]) for found in socket.getaddrinfo(*address)]
    except (ImportError, OSError, ValueError):
        return [address]


def _manager(host, port):
    """Return a manager; raises one of _GARBLED."""
    if not 0 < len(host.encode()) <= _HOST_MAX_BYTES or type(port) is not int or not 0 < port < 65536:
        raise ValueError
    return {"host": host, "port": port}


def _key(identity, key):
    """Return a key with its identity; raises one of _GARBLED."""
    if len(unhexlify(key)) != _KEY_BYTES:
        raise ValueError
    Psk(identity.encode(), unhexlify(key))
    return {"identity": identity, "key": key}
