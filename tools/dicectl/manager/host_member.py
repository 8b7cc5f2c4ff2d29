# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""This computer as a member of a managed group, from the folder that `dicectl provision` wrote."""

import asyncio
import json
from pathlib import Path

import dice
from dice.aio.coap import Coap
from dice.aio.managed import ManagedGroup
from dice.coap.resource import Router
from dice.dtls.kx_psk import Psk
from dice.errors import DiceError
from dice.transport.udp import Multicast
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.manager.node_file import FILE
from dicectl.reasons import SENTENCES

_AGAIN_S = 5
_TIMER_MS = 1000
_PATIENCE_S = 20


class HostMember:
    """A member; `group` is there once join() is over."""

    def __init__(self, folder, name, heard=None):
        """`heard(datagram, source, member, before)`, where given, is told of each datagram once the member has judged it."""
        self.folder = Path(folder)
        try:
            self._settings = json.loads((self.folder / FILE).read_text())
            self._address = (self._settings["manager"]["host"], self._settings["manager"]["port"])
        except OSError:
            raise CommandError(f"{self.folder} has no {FILE}: dicectl provision new NAME --group {name} --to {self.folder}", USAGE)
        except (ValueError, KeyError, TypeError):
            raise CommandError(f"{self.folder / FILE} was damaged: dicectl provision replace", USAGE)
        self.identity = self._settings.get("identity")
        self.path = self.folder / f"{name}.gsa"
        self._tapped = Tapped(heard) if heard else None
        self._managed = ManagedGroup(name, str(self.path), self._tapped)
        self.peer = None

    async def join(self):
        """Connect and join; raises CommandError."""
        settings = self._settings
        try:
            psk = Psk(settings["identity"].encode(), bytes.fromhex(settings["key"]))
            connection = await dice.connect(self._address, psk, timer_ms=_TIMER_MS, timeout_s=_PATIENCE_S)
            self.peer = Coap(connection, Router(self._managed.routes))
            group = await self._managed.join(self.peer)
        except DiceError as error:
            raise CommandError(f"E{error.reason}: {SENTENCES[error.reason]}", FAILED)
        except OSError as error:
            raise CommandError(f"network: {error}")
        if self._tapped:
            self._tapped.member = group.member
        return group

    async def report(self):
        """Tell the manager how far we have sent, and end the session."""
        await self._managed.report(self.peer)
        self.peer.close()

    async def stay(self):
        """Take what the manager brings, and connect again where the session broke."""
        while True:
            try:
                await self._managed.stay(self.peer)
            except DiceError:
                self.peer.close()
            await asyncio.sleep(_AGAIN_S)
            try:
                await self.join()
            except CommandError:
                pass


class Tapped:
    """Makes transports as dice.transport.udp does for a group; what they receive is heard by somebody else too."""

    def __init__(self, heard):
        self.member = None
        self.heard = heard

    def Multicast(self, address, port):
        """Take part in a group; `address` has 4 bytes."""
        return _Tap(Multicast(address, port), self)


class _Tap:
    """UDP multicast that is heard by somebody else too."""

    def __init__(self, inner, network):
        self.socket = inner.socket
        self.send = inner.send
        self.close = inner.close
        self._inner = inner
        self._network = network
        self._last = None

    def receive(self):
        """Return the next datagram, or None; by now the member has judged the one before."""
        if self._last:
            self._network.heard(*self._last)
            self._last = None
        datagram = self._inner.receive()
        member = self._network.member
        if datagram is not None and member:
            self._last = (datagram, self._inner.source, member, (member.accepted, dict(member.dropped)))
        return datagram
