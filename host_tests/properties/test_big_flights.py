# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Flights of several KB in datagrams of 128 bytes, lost, swapped and doubled: both sides connect in bounded memory."""

import pytest

from dice.dtls.flights import Reassembly
from dice.limits import HANDSHAKE_HEADER_BYTES
from dicectl.on_device.lossy_network import Network, SeededRandom
from host_tests.portable.long_certificates import Long
from host_tests.seeds import seeds

BYTES_MAX = 4608


def run(seed, loss, sizes, mtu=128, reorder=True, duplicate=True, bytes_max=BYTES_MAX):
    """Return (Network after a handshake, the most bytes that one Reassembly held)."""
    held = []
    add = Reassembly.add

    def watched(self, *arguments):
        result = add(self, *arguments)
        held.append(sum(len(message) for _, message, _ in self._messages.values()))
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reassembly, "add", watched)
        credentials = Long(sizes[1], bytes_max), Long(sizes[0], bytes_max)
        network = Network(seed, loss, reorder, duplicate, mtu, credentials=credentials).run()
    return network, max(held)


@pytest.mark.parametrize("sizes", [(4096, 256), (256, 4096), (2048, 4096)], ids=["server", "client", "both"])
@pytest.mark.parametrize("loss", [0, 10, 20])
def test_both_sides_connect_and_hold_no_more_than_bytes_max(loss, sizes):
    slowest = 0
    for seed in seeds(6):
        network, held = run(seed, loss, sizes)
        assert network.connected == [True, True], (seed, network.ended, network.ms)
        assert network.client.identity == b"%d" % sizes[0]
        assert held <= BYTES_MAX + 5 * HANDSHAKE_HEADER_BYTES, (seed, held)
        slowest = max(slowest, network.ms)
    print(loss, sizes, slowest)


def test_what_a_peer_announces_costs_no_more_than_bytes_max():
    """Fragments of messages of any length, also of several at a time, with any numbers: a Certificate of 64 KB among them."""
    for seed in seeds(200):
        chance = SeededRandom(seed)
        reassembly = Reassembly(0, Long(0, BYTES_MAX))
        for _ in range(40):
            length = (65_536, BYTES_MAX + 1, BYTES_MAX, 4000, 200, 0, (1 << 24) - 1)[chance.roll(7)]
            offset = chance.roll(length + 1)
            part = bytes(min(length - offset, chance.roll(100)))
            reassembly.add(0, 11, length, reassembly.next + chance.roll(7), offset, part)
            held = [len(message) for _, message, _ in reassembly._messages.values()]
            assert sum(held) <= BYTES_MAX + len(held) * HANDSHAKE_HEADER_BYTES and len(held) <= 5, (seed, held)
            reassembly.take()


def test_a_longer_certificate_is_refused_with_a_reason():
    """By the client with an alert of its own; the server learns of it."""
    network, held = run(1, 0, (8192, 256))
    assert network.ended[0] and network.client.error.reason == 65 and held <= BYTES_MAX
