# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A device that joins late receives every new message and no old one, in virtual time."""

import asyncio
import os

import dice
from dice.aio.kdc import Kdc
from dice.aio.wait import now
from dice.dtls.kx_psk_server import PskLookup
from dice.group.gsa import K08
from dice.group.manager import LISTENER, SENDER, GroupState, Manager
from dicectl.net.virtual import VirtualNetwork, VirtualNode

KEYS = {b"switch": bytes(16), b"lamp": bytes(range(16))}


async def _live(network, folder):
    manager = Manager(GroupState("lamps", b"\1\2\3\4", b"\xef\1\2\3", 5000, K08), lambda state, change: None, os.urandom, now())
    manager.add([b"switch"], SENDER, now())
    kdc = Kdc()
    kdc.add(manager)
    service = await dice.serve(5684, PskLookup(KEYS.get), kdc.serve, timer_ms=1000, network=network.host())
    switch, lamp = (VirtualNode(network, folder, identity.decode(), "lamps", identity, key) for identity, key in KEYS.items())
    switch.power_on()
    await asyncio.sleep(5)
    progress = []
    for epoch in (1, 2):
        reports = network.counts["switch"][0]
        for number in range(10):
            await switch.send(b"old %d" % number)
            await asyncio.sleep(7)
        progress.append((manager.state.members[b"switch"].sent, network.counts["switch"][0] - reports))
        if epoch == 1:
            manager.rekey(now())
            kdc.changed("lamps")
            await asyncio.sleep(10)
    manager.add([b"lamp"], LISTENER, now())
    lamp.power_on()
    await asyncio.sleep(5)
    old = [datagram for _, datagram in network.group_datagrams]
    members = network.of("lamp")
    for datagram in old:  # as an attacker would
        for end in members:
            if end.of_a_group:
                end.arrive(datagram, None)
    await switch.send(b"new")
    await asyncio.sleep(1)
    service.close()
    kdc.close()
    return progress, [message for _, _, message in lamp.received]


def test_a_late_joiner_receives_the_first_new_message_and_no_replay(tmp_path):
    """A sender reports its sequence number within 5 s of its first message in an epoch, and within 30 s of later ones."""
    network = VirtualNetwork(lambda sides: 0)
    progress, received = network.run(_live, network, tmp_path)
    for sent, datagrams in progress:
        assert sent >= 6 and datagrams <= 3 * 2 + 4, progress
    assert b"new" in received
    assert set(received) <= {b"new", b"old 6", b"old 7", b"old 8", b"old 9"}, "a message before the last report was accepted"
