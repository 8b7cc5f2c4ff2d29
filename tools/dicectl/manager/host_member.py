# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""This computer as a member of a managed group, with the folder that `dicectl provision` wrote."""

import asyncio
import contextlib
import json
from pathlib import Path

import dice
from dice.aio.coap import Coap
from dice.aio.group_coap import request_group
from dice.aio.managed import ManagedGroup
from dice.coap.codes import GET
from dice.coap.resource import Router
from dice.dtls.kx_psk import Psk
from dice.errors import DiceError
from dice.reasons import E_STORE_SHARED
from dice.transport.udp import Multicast
from dicectl import system
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.manager.node_file import FILE
from dicectl.reasons import SENTENCES

_RECONNECT_S = 5
_TIMER_MS = 1000
_CONNECT_S = 20
_STORE_TRIES = 200  # while another command uses the folder: longer than one that sends or asks takes
_STORE_TRY_S = 0.05


@contextlib.contextmanager
def _in_one_line():
    """Turn a DiceError into a CommandError."""
    try:
        yield
    except DiceError as error:
        raise CommandError(f"E{error.reason}: {SENTENCES[error.reason]}", FAILED)


class HostMember:
    """A member. send() and get() do one thing and leave; join() and stay() are for a longer membership."""

    def __init__(self, folder, name, on_datagram=None):
        """`on_datagram(datagram, source, member, before)`, if given, is called with each datagram after the member processed it."""
        self.folder = Path(folder)
        try:
            self._settings = json.loads((self.folder / FILE).read_text())
            self._address = (self._settings["manager"]["host"], self._settings["manager"]["port"])
            self._psk = Psk(self._settings["identity"].encode(), bytes.fromhex(self._settings["key"]))
        except OSError:
            command = f"dicectl provision new NAME --group {name} --to {self.folder}"
            raise CommandError(f"{self.folder} has no {FILE}: {command}", USAGE)
        except (ValueError, KeyError, TypeError, AttributeError, DiceError):
            raise CommandError(f"{self.folder / FILE} is damaged: dicectl provision replace", USAGE)
        self.identity = self._settings.get("identity")
        self.path = self.folder / f"{name}.gsa"
        self._tapped = TappedNetwork(on_datagram) if on_datagram else None
        self._managed = ManagedGroup(name, str(self.path), self._tapped)
        self._coap = None  # with the manager

    async def _locked(self):
        """Return a store that locks the folder; wait a little for another program that uses it. Raises CommandError."""
        for _ in range(_STORE_TRIES):
            try:
                return dice.FileStore(str(self.folder))
            except DiceError:
                await asyncio.sleep(_STORE_TRY_S)
        used = f"{self.folder} is in use by {system.holder(self.folder)}"
        raise CommandError(f"E{E_STORE_SHARED}: {used}: wait for it, or give each program a member of its own")

    async def join(self):
        """Connect to the manager and return the group; raises CommandError."""
        store = await self._locked()
        try:
            with _in_one_line():
                connection = await dice.connect(self._address, self._psk, timer_ms=_TIMER_MS, timeout_s=_CONNECT_S)
                self._coap = Coap(connection, Router(self._managed.routes))
                group = await self._managed.join(self._coap)
        except (OSError, UnicodeError) as error:  # the latter of a name that no host can have
            raise CommandError(f"network: {error}")
        finally:
            del store  # the group has one of its own, which is released with it
        if self._tapped:
            self._tapped.member = group.member
        return group

    async def send(self, message):
        """Send a message to the group; raises CommandError."""
        group = await self.join()
        try:
            with _in_one_line():
                await group.send(message)
                await self.report()
        finally:
            group.close()

    async def get(self, path, wait_ms):
        """GET a resource of all members and return {id: text of the answer}; raises CommandError."""
        group = await self.join()
        try:
            with _in_one_line():
                found = await request_group(group, GET, path, wait_ms=wait_ms)
                await self.report()
        finally:
            group.close()
        return {who: bytes(answer.payload).decode(errors="backslashreplace") for who, answer in found.items()}

    async def report(self):
        """Report to the manager how far this member has sent, and close the session."""
        await self._managed.report(self._coap)
        self.close()

    @property
    def group(self):
        """Return the dice.aio.group.Group, or None."""
        return self._managed.group

    def leave(self):
        """Close the group."""
        self._managed.leave()

    def close(self):
        """Close the session with the manager, which then does not wait for this member any more."""
        if self._coap:
            self._coap.close()

    async def stay(self):
        """Install the keys that the manager delivers, and reconnect if the session ends; never returns."""
        while True:
            try:
                await self._managed.stay(self._coap)
            except (DiceError, OSError, MemoryError):
                self._coap.close()
            await asyncio.sleep(_RECONNECT_S)
            with contextlib.suppress(CommandError):
                await self.join()


class TappedNetwork:
    """Creates multicast transports as dice.transport.udp does, and passes a copy of each received datagram to `on_datagram`."""

    def __init__(self, on_datagram):
        self.member = None
        self.on_datagram = on_datagram

    def Multicast(self, address, port):
        """Return a transport of the group at `address`, 4 or 16 bytes, and `port`."""
        return _TappedMulticast(Multicast(address, port), self)


class _TappedMulticast:
    """A multicast transport that passes on a copy of each received datagram."""

    def __init__(self, inner, network):
        self.send = inner.send
        self.close = inner.close
        self.renew = inner.renew
        self._inner = inner
        self._network = network
        self._last = None

    @property
    def socket(self):
        """Return the socket, which renew() may replace."""
        return self._inner.socket

    def receive(self):
        """Return the next datagram, or None. The member has processed the previous one by now, so that one is passed on."""
        last, self._last = self._last, None
        if last:
            self._network.on_datagram(*last)
        datagram = self._inner.receive()
        member = self._network.member
        if datagram is not None and member:
            self._last = (datagram, self._inner.source, member, (member.accepted, dict(member.dropped)))
        return datagram
