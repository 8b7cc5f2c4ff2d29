# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Groups over ESP-NOW. `Radio` is a double of MicroPython's espnow.ESPNow, made after its documents: no real radio was heard."""

import asyncio

from memory_transport import Signal, run
from support import A, B, RamStore, exists, make_folder, make_gsa

import dice
from dice.group.gsa_encode import encode
from dice.transport.espnow import EspNow

EVERYBODY = b"\xff" * 6


class Air:
    """What connects radios: each frame reaches all others within reach, unless it is lost."""

    def __init__(self):
        self.radios = []
        self.frames = []
        self.lost = 0  # so many frames from now on

    def carry(self, sender, frame):
        self.frames.append(frame)
        if self.lost:
            self.lost -= 1
            return
        for radio in self.radios:
            if radio is not sender:  # a radio does not hear itself
                radio.take(sender.mac, frame)


class Radio(Signal):
    """A double of espnow.ESPNow: its calls, its errors, its bounds."""

    def __init__(self, air):
        super().__init__()
        self.mac = bytes((2, 0, 0, 0, 0, len(air.radios)))
        self.air = air
        self.peers = set()
        self.waiting = []
        self.on = True
        air.radios.append(self)

    def active(self, on):
        self.on = on

    def add_peer(self, mac):
        if mac in self.peers:
            raise OSError(-12395, "ESP_ERR_ESPNOW_EXIST")
        if not self.on:
            raise OSError(-12389, "ESP_ERR_ESPNOW_NOT_INIT")
        self.peers.add(mac)

    def send(self, mac, frame, sync=True):
        assert mac == EVERYBODY and not sync  # nobody acknowledges a broadcast: waiting would only block
        if mac not in self.peers:
            raise OSError(-12393, "ESP_ERR_ESPNOW_NOT_FOUND")
        if len(frame) > 250:
            raise OSError(-12390, "ESP_ERR_ESPNOW_ARG")
        self.air.carry(self, bytes(frame))
        return True

    def take(self, mac, frame):
        self.waiting.append([mac, frame])
        self.set(True)

    def recv(self, timeout_ms=None):
        assert timeout_ms == 0
        found = self.waiting.pop(0) if self.waiting else (None, None)
        self.set(bool(self.waiting))
        return found


async def joined(air, own_id):
    """Return a Group on a radio of its own."""
    path = make_folder() + "/lamps.gsa"
    with open(path, "wb") as file:
        file.write(encode(make_gsa(own_id=own_id)))
    assert exists(path)
    return await dice.join(path, RamStore(), EspNow(Radio(air)))


def test_messages_both_ways():
    async def main():
        air = Air()
        one = await joined(air, A)
        two = await joined(air, B)
        await one.send(b"on")
        assert await two.__anext__() == (A, b"on")
        await two.send(b"done")
        assert await one.__anext__() == (B, b"done")
        assert one.member.dropped == two.member.dropped == {}
        one.close()
        two.close()
        assert not air.radios[0].on

    run(main)


def test_the_longest_message():
    async def main():
        air = Air()
        one = await joined(air, A)
        two = await joined(air, B)
        await one.send(bytes(221))
        assert await two.__anext__() == (A, bytes(221))
        assert len(air.frames[0]) == 250
        try:
            await one.send(bytes(222))
            raise AssertionError
        except OSError:
            pass
        await one.send(b"on")
        assert await two.__anext__() == (A, b"on")
        assert len(air.frames) == 2
        one.close()
        two.close()

    run(main)


def test_what_is_lost_or_foreign():
    async def main():
        air = Air()
        one = await joined(air, A)
        two = await joined(air, B)
        stranger = EspNow(Radio(air))
        air.lost = 1
        await one.send(b"lost")
        stranger.send(b"noise")
        stranger.send(b"")
        await one.send(b"heard")
        assert await two.__anext__() == (A, b"heard")
        stranger.send(air.frames[-1])
        await asyncio.sleep(0.02)
        assert two.member.dropped == {"malformed": 2, "replayed": 1}
        assert one.member.dropped == {"malformed": 2, "own": 1}
        one.close()
        two.close()

    run(main)


def test_a_radio_that_knows_the_peer_already():
    air = Air()
    radio = Radio(air)
    EspNow(radio)
    assert EspNow(radio).receive() is None


def test_a_radio_that_is_off():
    radio = Radio(Air())
    radio.active(False)
    try:
        EspNow(radio)
        raise AssertionError
    except OSError as error:
        assert error.args[-1] == "ESP_ERR_ESPNOW_NOT_INIT"
