# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Groups over ESP-NOW. `FakeRadio` is a double of MicroPython's espnow.ESPNow, made from its documentation; no radio was used."""

import asyncio

from memory_transport import Signal, run, run_hasty
from support import A, B, RamStore, exists, make_folder, make_gsa

import dice
from dice.group.gsa import D00
from dice.group.gsa_encode import encode
from dice.suites import PSK_AES_128_CCM
from dice.transport.espnow import EspNow
from dice.transport.recode import restore

EVERYBODY = b"\xff" * 6


class RadioMedium:
    """Connects radios: a frame reaches all other radios unless it is lost."""

    def __init__(self):
        self.radios = []
        self.frames = []
        self.lost = 0  # how many of the next frames are lost

    def carry(self, sender, frame):
        self.frames.append(frame)
        if self.lost:
            self.lost -= 1
            return
        for radio in self.radios:
            if radio is not sender:  # a radio does not receive its own frame
                radio.take(sender.mac, frame)


class FakeRadio(Signal):
    """A double of espnow.ESPNow: its calls, errors and limits."""

    def __init__(self, medium):
        super().__init__()
        self.mac = bytes((2, 0, 0, 0, 0, len(medium.radios)))
        self.medium = medium
        self.peers = set()
        self.waiting = []
        self.on = True
        self.torn = []  # what the next calls of recv() raise
        self.lost_step = None  # what every call of recv() raises until the radio is activated again
        self.broken = None  # what every call of recv() and active(True) raises
        medium.radios.append(self)

    def active(self, on):
        if not on:
            self.peers.clear()
        elif self.broken:
            raise self.broken
        else:
            self.lost_step = None
        self.on = on

    def add_peer(self, mac):
        if mac in self.peers:
            raise OSError(-12395, "ESP_ERR_ESPNOW_EXIST")
        if not self.on:
            raise OSError(-12389, "ESP_ERR_ESPNOW_NOT_INIT")
        self.peers.add(mac)

    def send(self, mac, frame, sync=True):
        assert mac == EVERYBODY and not sync  # broadcasts are not acknowledged: waiting would only block
        if mac not in self.peers:
            raise OSError(-12393, "ESP_ERR_ESPNOW_NOT_FOUND")
        if len(frame) > 250:
            raise OSError(-12390, "ESP_ERR_ESPNOW_ARG")
        self.medium.carry(self, bytes(frame))
        return True

    def take(self, mac, frame):
        self.waiting.append([mac, frame])
        self.set(True)

    def recv(self, timeout_ms=None):
        assert timeout_ms == 0
        error = self.torn.pop(0) if self.torn else self.broken or self.lost_step
        if error:
            raise error
        found = self.waiting.pop(0) if self.waiting else (None, None)
        self.set(bool(self.waiting))
        return found


async def joined(medium, own_id, recode=True, **changes):
    """Return a Group on a radio of its own; `changes` are those of its Gsa."""
    path = make_folder() + "/lamps.gsa"
    with open(path, "wb") as file:
        file.write(encode(make_gsa(own_id=own_id, **changes)))
    assert exists(path)
    return await dice.join(path, RamStore(), EspNow(FakeRadio(medium), recode))


BUFFER_ERROR = ValueError("ESPNow.recv(): buffer error")  # as MicroPython raises it


def test_one_torn_frame_costs_that_frame():
    async def main():
        medium = RadioMedium()
        one, two = await joined(medium, A), await joined(medium, B)
        for number, error in enumerate((BUFFER_ERROR, OSError(5), OSError(-12389, "ESP_ERR_ESPNOW_NOT_INIT"))):
            medium.radios[1].torn = [error]
            await one.send(b"%d" % number)
            assert await two.__anext__() == (A, b"%d" % number)
        await two.send(b"still a peer")
        assert await one.__anext__() == (B, b"still a peer")
        one.close()
        two.close()

    run(main)


def test_a_radio_whose_ring_has_lost_step_is_activated_again():
    async def main():
        medium = RadioMedium()
        one, two = await joined(medium, A), await joined(medium, B)
        radio = medium.radios[1]
        radio.lost_step = BUFFER_ERROR
        await one.send(b"lost")
        while radio.lost_step:
            await asyncio.sleep(0.01)
        await one.send(b"heard")
        while await two.__anext__() != (A, b"heard"):
            pass
        await two.send(b"sent to its peers")
        while await one.__anext__() != (B, b"sent to its peers"):
            pass
        one.close()
        two.close()

    run(main)


def test_a_radio_that_cannot_be_activated_ends_the_group_audibly():
    async def main():
        medium = RadioMedium()
        group = await joined(medium, A)
        medium.radios[0].broken = OSError(-12385, "ESP_ERR_ESPNOW_INTERNAL")
        medium.radios[0].set(True)
        try:
            await group.__anext__()
            raise AssertionError
        except OSError as error:
            assert error is medium.radios[0].broken
        group.close()

    run_hasty(main)


def test_a_failed_radio_is_read_again_and_counted():
    radio = FakeRadio(RadioMedium())
    transport = EspNow(radio)
    radio.torn = [BUFFER_ERROR, BUFFER_ERROR, BUFFER_ERROR]
    assert transport.receive() is None and transport.receive() is None
    try:
        transport.receive()
        raise AssertionError
    except OSError:
        pass
    assert transport.receive() is None
    assert transport.errors == 3 and transport.error is BUFFER_ERROR
    assert radio.peers == {EVERYBODY}


def test_two_members_exchange_messages():
    async def main():
        medium = RadioMedium()
        one = await joined(medium, A)
        two = await joined(medium, B)
        await one.send(b"on")
        assert await two.__anext__() == (A, b"on")
        await two.send(b"done")
        assert await one.__anext__() == (B, b"done")
        assert one.member.dropped == two.member.dropped == {}
        one.close()
        two.close()
        assert not medium.radios[0].on

    run(main)


def exchange_longest(longest, frame_bytes, recode=True, **changes):
    """The longest message arrives in a frame of so many bytes, and one byte more is refused."""

    async def main():
        medium = RadioMedium()
        one = await joined(medium, A, recode, **changes)
        two = await joined(medium, B, recode, **changes)
        await one.send(bytes(longest))
        assert await two.__anext__() == (A, bytes(longest))
        assert len(medium.frames[0]) == frame_bytes
        try:
            await one.send(bytes(longest + 1))
            raise AssertionError
        except OSError:
            pass
        await one.send(b"on")
        assert await two.__anext__() == (A, b"on")
        assert len(medium.frames) == 2
        one.close()
        two.close()

    run(main)


def test_the_longest_message_fits_a_frame_and_one_byte_more_is_refused():
    exchange_longest(236, 250)
    exchange_longest(228, 250, suite=PSK_AES_128_CCM, epoch=2)


def test_whole_records_leave_less_room_for_a_message():
    """They are those of a transport that does not recode, and of the layout d00."""
    exchange_longest(221, 250, False)
    exchange_longest(213, 250, False, suite=PSK_AES_128_CCM, epoch=2)
    exchange_longest(221, 250, layout=D00, epoch=3)


def test_radios_that_recode_and_radios_that_do_not_hear_each_other():
    async def main():
        medium = RadioMedium()
        one, two = await joined(medium, A), await joined(medium, B, False)
        for _ in range(3):
            await one.send(b"on")
            assert await two.__anext__() == (A, b"on")
            await two.send(b"done")
            assert await one.__anext__() == (B, b"done")
        assert [len(frame) for frame in medium.frames] == [16, 33] * 3
        assert one.member.dropped == two.member.dropped == {}
        one.close()
        two.close()

    run(main)


def test_lost_frames_foreign_frames_and_replays_are_tolerated():
    async def main():
        medium = RadioMedium()
        one = await joined(medium, A)
        two = await joined(medium, B)
        stranger = EspNow(FakeRadio(medium))
        medium.lost = 1
        await one.send(b"lost")
        stranger.send(b"noise")
        stranger.send(b"")
        await one.send(b"heard")
        assert await two.__anext__() == (A, b"heard")
        stranger.send(restore(medium.frames[-1]))
        await asyncio.sleep(0.02)
        assert two.member.dropped == {"malformed": 2, "replayed": 1}
        assert one.member.dropped == {"malformed": 2, "own": 1}
        one.close()
        two.close()

    run(main)


def test_a_peer_that_the_radio_already_knows_is_accepted():
    medium = RadioMedium()
    radio = FakeRadio(medium)
    EspNow(radio)
    assert EspNow(radio).receive() is None


def test_a_radio_that_is_off_raises():
    radio = FakeRadio(RadioMedium())
    radio.active(False)
    try:
        EspNow(radio)
        raise AssertionError
    except OSError as error:
        assert error.args[-1] == "ESP_ERR_ESPNOW_NOT_INIT"


def test_a_radio_that_heard_nothing_for_long_is_activated_again():
    """Its WLAN interface was deactivated and activated, and the radio with it: it is deaf, and says nothing."""
    radio = FakeRadio(RadioMedium())
    transport = EspNow(radio)
    radio.active(False)
    for _ in range(14):
        transport.renew()
        assert transport.receive() is None
    assert not radio.on
    radio.take(bytes(6), b"frame")
    assert transport.receive() == b"frame"
    for _ in range(14):
        transport.renew()
    assert not radio.on, "it has received a frame"
    transport.renew()
    assert radio.on and radio.peers == {EVERYBODY}


def test_a_radio_that_cannot_send_is_activated_again():
    medium = RadioMedium()
    radio = FakeRadio(medium)
    transport = EspNow(radio)
    radio.active(False)
    transport.send(b"on")
    assert medium.frames == [b"on"] and radio.on
    radio.active(False)
    radio.broken = OSError(-12385, "ESP_ERR_ESPNOW_INTERNAL")
    try:
        transport.send(b"on")
        raise AssertionError
    except OSError:
        pass
