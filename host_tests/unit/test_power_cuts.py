# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A managed node loses power at each of its file operations in turn, before or after the operation, in virtual time.

The node is a sender. It joins, sends, is re-keyed, receives the epoch after an expulsion, and reboots.
"""

import asyncio
import os

import pytest

import dice
from dice import record, store
from dice.aio.kdc import Kdc
from dice.aio.wait import now
from dice.dtls.kx_psk_server import PskLookup
from dice.errors import DiceError
from dice.group.gsa import K08, decode
from dice.group.manager import LISTENER, SENDER, GroupState, Manager
from dicectl.net.virtual import VirtualNetwork, VirtualNode

KEYS = {name: bytes([i]) * 16 for i, name in enumerate((b"switch", b"lamp", b"thief"))}


class PowerSupply:
    """The power of one node: it fails at the `nth` file operation, and stays off until on() is called."""

    def __init__(self, network, folder, nth, when):
        self.network = network
        self.folder = str(folder)
        self.left = nth
        self.when = when
        self.off = False
        self.spared = False

    def on(self):
        """Return to power."""
        self.off = False

    def stay(self):
        """Fail no more."""
        self.spared = self.left > 0
        self.left = 0

    def _fail(self):
        self.off = True
        for end in self.network.of("switch"):
            end.close()
        raise OSError(5, "no power")

    def around(self, operation):
        """Return the file operation with a possible power cut."""

        def tampered(path, *arguments):
            if not str(path).startswith(self.folder):
                return operation(path, *arguments)
            if self.off:
                raise OSError(5, "no power")
            self.left -= 1
            if self.left == 0 and self.when == "before":
                self._fail()
            done = operation(path, *arguments)
            if self.left == 0:
                if self.when == "torn" and hasattr(done, "write"):
                    done.write(b"\0")
                    done.close()
                self._fail()
            return done

        return tampered


async def _live(network, folder, power):
    loop = asyncio.get_running_loop()
    manager = Manager(GroupState("lamps", b"\1\2\3\4", b"\xef\1\2\3", 5000, K08), lambda state, change: None, os.urandom, now())
    manager.add([b"switch"], SENDER, now())
    manager.add([b"lamp", b"thief"], LISTENER, now())
    kdc = Kdc()
    kdc.add(manager)
    service = await dice.serve(5684, PskLookup(KEYS.get), kdc.serve, timer_ms=1000, cid_bytes=4, network=network.host())
    nodes = [VirtualNode(network, folder, identity.decode(), "lamps", identity, key) for identity, key in KEYS.items()]
    switch, lamp, thief = nodes
    for node in nodes:
        node.power_on()

    async def speak(word):
        try:
            await switch.send(word)
        except (DiceError, OSError, AttributeError):
            pass  # without power, or not yet booted
        await asyncio.sleep(10)
        if power.off:
            switch.power_off()
            power.on()
            switch.power_on()
            await asyncio.sleep(10)

    await asyncio.sleep(10)
    await speak(b"first")
    manager.rekey(now())
    kdc.changed("lamps")
    await speak(b"second")
    await speak(b"third")
    manager.remove([b"thief"], now())
    kdc.changed("lamps")
    await asyncio.sleep(10)  # until then senders may send in the previous epoch
    await speak(b"fourth")
    switch.power_off()  # an ordinary power cut
    switch.power_on()
    await speak(b"fifth")
    await asyncio.sleep(100)
    power.stay()
    received = len(lamp.received)
    await speak(b"sixth")
    await speak(b"seventh")
    end_s = loop.time()
    last = [message for _, _, message in lamp.received[received:]]
    epochs = [decode((folder / node.name / "lamps.gsa").read_bytes()).epoch for node in (switch, lamp, thief)]
    intercepted = [message for _, _, message in thief.received if message not in (b"first", b"second", b"third")]
    service.close()
    kdc.close()
    return last, epochs, intercepted, manager.state.epoch, end_s


def _run(folder, monkeypatch, nth, when):
    folder.mkdir()
    network = VirtualNetwork(lambda sides: 0)
    power = PowerSupply(network, folder / "switch", nth, when)
    with monkeypatch.context() as patch:
        patch.setattr(store, "create", power.around(store.create))
        patch.setattr(store, "_rename", power.around(store._rename))
        patch.setattr(store, "_read", power.around(store._read))
        story = network.run(_live, network, folder, power)
    nonces = [bytes(datagram[3:11]) for _, datagram in network.group_datagrams if record.well_formed(datagram)]
    assert len(nonces) == len(set(nonces)), (nth, "a nonce was used twice")
    return power, story


@pytest.mark.parametrize("when", ["before", "after", "torn"])
def test_a_power_cut_at_any_file_operation_repeats_no_nonce_and_is_recovered_from(tmp_path, monkeypatch, when):
    """In the end all members are in the newest epoch and receive each other's messages."""
    nth = 0
    while True:
        nth += 1
        power, (last, epochs, intercepted, epoch, _) = _run(tmp_path / str(nth), monkeypatch, nth, when)
        assert intercepted == [], nth
        assert epochs == [epoch, epoch, epoch - 1], (nth, epochs)
        assert last == [b"sixth", b"seventh"], (nth, last)
        if power.spared:
            break
    print(f"{nth - 1} file operations")
    assert nth > 20
