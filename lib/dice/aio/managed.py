# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A group whose keys come from a key distribution center, on the member's side (row 7).

managed = ManagedGroup("lamps", "lamps.gsa")
peer = Coap(await dice.connect(...), Router(managed.routes))
group = await managed.join(peer)

await managed.stay(peer)

Over `peer` the next epoch comes. When stay() has ended, connect anew: join() then fetches what was missed.
"""

import asyncio

from ..coap.message import BAD_REQUEST, CHANGED, CREATED, POST, PUT
from ..errors import FormatError, PeerError, UsageError
from ..group.gsa import decode
from ..limits import MANAGED_POLL_S, MISSED_EPOCH_MIN_S, REPORT_MAX_S, REPORT_MIN_S
from ..reasons import E_NO_ANSWER, E_OTHER_GROUP, E_REFUSED
from ..store import read_file, replace_file
from .group import join


class ManagedGroup:
    """One such group; `group`, a dice.aio.group.Group, is there once join() has returned; `routes` are for the peer's Router."""

    def __init__(self, name, path, network=None, **options):
        """`path` is where the GSA is kept, its counters beside it; `options` are those of dice.join.

        `network` is as for dice.join.
        """
        self.group = None
        self._name = name
        self._path = path
        self._network = network
        self._options = options
        self._epoch = None  # of the GSA that is kept
        self._told = None, 0  # epoch and number of the last report
        self.routes = {"gsa/" + name: {PUT: self._install}, "gsa/" + name + "/activate": {POST: self._activate}}

    async def resume(self):
        """Return the Group as it was left, without asking the center, or None where nothing is kept; raises what dice.join does."""
        gsa = read_file(self._path, decode)
        if self.group is None and gsa:
            self._epoch = gsa.epoch
            self.group = await join(self._path, network=self._network, **self._options)
        return self.group

    def leave(self):
        """Close the group: it can be joined again."""
        if self.group:
            self.group.close()
        self.group = None

    async def join(self, peer):
        """Return the Group, in the newest epoch; raises PeerError where the center refuses or is silent, else as dice.join."""
        response = await peer.request(POST, "ace-group/" + self._name)
        if response is None or response.code != CREATED:
            if response is None:
                raise PeerError(None, E_NO_ANSWER)
            raise PeerError(None, E_REFUSED)
        self._take(response.payload)
        await self.resume()
        await self.report(peer)
        return self.group

    async def stay(self, peer):
        """Keep up with the group until the session ends; raises PeerError where the center has become silent, or refuses us.

        Reports now and then, and soon after the first message that we send in an epoch, so that a device that joins later can tell
        the next one from an old one. Where others go on to an epoch that we do not have, word of it was lost: then we ask.
        """
        waited_s = 0
        missed = self._missed()
        while not peer.ended:
            await asyncio.sleep(MANAGED_POLL_S)
            waited_s += MANAGED_POLL_S
            epoch, sent, _ = self._standing()
            told = self._told[1] if self._told[0] == epoch else 0
            news = sent > told and (waited_s >= REPORT_MIN_S or not told)
            if waited_s >= MISSED_EPOCH_MIN_S and self._missed() != missed:
                await self.join(peer)
            elif news or waited_s >= REPORT_MAX_S:
                await self.report(peer)
            else:
                continue
            waited_s = 0
            missed = self._missed()

    async def report(self, peer):
        """Tell the center which epoch is held, how far we have sent, and whether another device has our id.

        Raises PeerError where it is silent.
        """
        epoch, sent, clash = self._standing()
        payload = epoch.to_bytes(2, "big") + (0 if clash else sent).to_bytes(8, "big") + bytes((clash,))
        if await peer.request(POST, "ace-group/%s/node" % self._name, payload) is None:
            raise PeerError(None, E_NO_ANSWER)
        self._told = epoch, sent

    def _standing(self):
        """Return (the newest epoch, the number that we send next in it or 0, whether another device has our id)."""
        context = self.group.member.held(self._epoch) if self.group else None
        if context is None or context.own_id is None:
            return self._epoch, 0, False
        return self._epoch, context.own_next, context.clash

    def _missed(self):
        """Return how many datagrams were of an epoch that we do not have."""
        return self.group.member.dropped.get("epoch", 0) if self.group else 0

    def _take(self, encoded):
        """Keep a GSA that is newer than ours, on the disk first; raises FormatError, StoreError, UsageError."""
        gsa = decode(encoded)
        held = read_file(self._path, decode)
        if held and held.gid != gsa.gid:
            raise UsageError(E_OTHER_GROUP)
        if held and gsa.epoch < held.epoch:
            return
        if held is None or gsa.epoch > held.epoch:
            replace_file(self._path, encoded)
        self._epoch = gsa.epoch
        if self.group and self.group.member.held(gsa.epoch) is None:  # also where it was kept, and there was no memory for it
            self.group.install(gsa)

    def _install(self, request, _peer):
        """Take struct { uint8 grace_s; GSA gsa; }; it may come before join() is over."""
        try:
            self._take(request.payload[1:])
        except (FormatError, UsageError):
            return BAD_REQUEST, b""
        if self.group:
            self.group.member.grace_ms = 1000 * request.payload[0]
        return CHANGED, b""  # it is stored: a StoreError would have become 5.00

    def _activate(self, request, _peer):
        epoch = int.from_bytes(request.payload, "big")
        if self.group is None or self.group.member.held(epoch) is None:
            return BAD_REQUEST, b""
        if epoch == self._epoch:  # else it is late: the next one is here already
            try:
                self.group.activate()
            except UsageError:
                pass  # somebody's first message in it was faster
        return CHANGED, b""
