# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""UDP over IPv4 on a serial line: the packets, and hosts on a bus in memory."""

import asyncio
from binascii import unhexlify

from memory_transport import Signal, run, run_hasty, until
from support import A, make_member, raises, seal, sealed

from dice._compat import ticks_add, ticks_diff
from dice.aio.slip_host import SlipHost
from dice.aio.wait import now, wait
from dice.errors import UsageError
from dice.limits import DATAGRAM_MAX_BYTES
from dice.reasons import E_HOST
from dice.transport.recode import recode
from dice.transport.slip_ip import address_of, packet, parse

# The well-known example of a header checksum: a UDP packet of 0x73 bytes from 192.168.0.1 to 192.168.0.199.
KNOWN = unhexlify("45000073000040004011b861c0a80001c0a800c7")
ONE, OTHER = b"\x0a\x4d\0\1\x15\xe0", b"\x0a\x4d\0\2\xc0\1"
GROUP = b"\xef\1\2\3"


class MemoryBus:
    """Lines in memory: the bytes that one writes can be read by all others."""

    def __init__(self):
        self.lines = []
        self.written = b""

    def line(self):
        line = BusLine(self)
        self.lines.append(line)
        return line


class BusLine(Signal):
    """The line of one host on the bus; can be polled."""

    def __init__(self, bus):
        Signal.__init__(self)
        self.bus = bus
        self.data = b""
        self.failed = False

    def write(self, data):
        """Deliver the data to all other lines."""
        if self.failed:
            raise OSError(5)
        self.bus.written += bytes(data)
        for line in self.bus.lines:
            if line is not self:
                line.data += bytes(data)
                line.set(True)
        return len(data)

    def read(self, count):
        """Return at most this many bytes."""
        if self.failed:
            raise OSError(5)
        head, self.data = self.data[:count], self.data[count:]
        self.set(bool(self.data))
        return head


def host(bus, address, recode=True):
    """Return a Host and its line."""
    line = bus.line()
    return SlipHost(line, address, recode), line


async def received(endpoint, tries=50):
    """Call receive() until it returns a datagram; return that."""
    for _ in range(tries):
        got = endpoint.receive()
        if got not in (None, (None, None)):
            return got
        await asyncio.sleep(0.005)
    return None


def test_a_packet_has_the_header_of_the_rfc():
    made = packet(b"\xc0\xa8\0\1\0\x35", b"\xc0\xa8\0\xc7\0\x35", bytes(0x73 - 28))
    assert bytes(made[:20]) == KNOWN
    assert bytes(made[20:28]) == b"\0\x35\0\x35\0\x5f\0\0"


def test_packets_of_every_size_round_trip():
    for data in (b"", b"x", bytes(range(256)), bytes(DATAGRAM_MAX_BYTES)):
        assert parse(bytes(packet(ONE, OTHER, data))) == (ONE, OTHER, data)


def test_options_in_the_ip_header_are_skipped():
    """A header of 24 bytes with an option that has no meaning."""
    plain = bytearray(packet(ONE, OTHER, b"data"))
    longer = bytearray(b"\x46") + plain[1:20] + b"\1\1\1\1" + plain[20:]
    longer[3] += 4
    longer[10:12] = b"\0\0"
    total = sum(longer[i] << 8 | longer[i + 1] for i in range(0, 24, 2))
    longer[10:12] = (0xFFFF - (total & 0xFFFF) - (total >> 16)).to_bytes(2, "big")
    assert parse(bytes(longer)) == (ONE, OTHER, b"data")


def test_truncated_and_damaged_packets_are_refused():
    good = bytes(packet(ONE, OTHER, b"data"))
    for cut in range(len(good)):
        assert parse(good[:cut]) is None, cut
    assert parse(good + b"x") is None
    for bit in range(20 * 8):  # the header's checksum detects each
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        assert parse(bytes(bad)) is None, bit
    bad = bytearray(good)
    bad[25] += 1  # the length of the UDP datagram
    assert parse(bytes(bad)) is None


def fixed(at, value):
    """Return a packet with one byte of its header changed, and a correct checksum."""
    made = bytearray(packet(ONE, OTHER, b"data"))
    made[at] = value
    made[10:12] = b"\0\0"
    total = sum(made[i] << 8 | made[i + 1] for i in range(0, 20, 2))
    made[10:12] = (0xFFFF - ((total & 0xFFFF) + (total >> 16))).to_bytes(2, "big")
    return bytes(made)


def test_a_record_is_recoded_in_a_packet_of_28_bytes_less():
    """Written down a second time, from the text of docs/protocol.md, section 16."""
    record = bytes(sealed(5, b"on"))
    whole, small = bytes(packet(ONE, OTHER, record)), bytes(packet(ONE, OTHER, record, True))
    assert (len(whole), len(small)) == (59, 31)
    assert small == b"\1" + whole[10:12] + ONE + OTHER + recode(record)
    assert whole == packet(ONE, OTHER, record, False)
    assert parse(small) == parse(whole) == (ONE, OTHER, record)


def test_what_cannot_be_recoded_is_an_ip_packet():
    frame = recode(sealed(5, b"on"))
    for data in (b"", b"x", b"\x80", frame, b"\0" + frame, b"\xff" * 100, bytes(range(256)), sealed(1 << 23, b"on"), frame[:13]):
        data = bytes(data)
        made = packet(ONE, OTHER, data, True)
        assert made == packet(ONE, OTHER, data) and parse(bytes(made)) == (ONE, OTHER, data)


def test_truncated_and_damaged_recoded_packets_are_refused():
    """The checksum is that of the IP header, which has the addresses and the length; it does not cover ports and the record."""
    good = bytes(packet(ONE, OTHER, sealed(5, b"on"), True))
    for cut in range(len(good)):
        assert parse(good[:cut]) is None, cut
        assert parse(good[:cut] + good[cut + 1 :]) is None, cut
    assert parse(good + b"x") is None
    ports = range(7, 9), range(13, 15)
    for at in range(15):
        for bit in range(8):
            bad = bytearray(good)
            bad[at] ^= 1 << bit
            assert (parse(bytes(bad)) is None) == (at not in ports[0] and at not in ports[1]), (at, bit)
    for data in (sealed(6, b"on"), b"\0" + recode(sealed(7, b"on")), bytes(range(40))):
        head = bytes(packet(ONE, OTHER, bytes(data)))[10:12]
        assert parse(b"\1" + head + ONE + OTHER + bytes(data)) is None, "what is not recoded has an IP packet"


def test_hosts_that_recode_and_hosts_that_do_not_exchange_records_and_answers():
    async def main():
        bus = MemoryBus()
        (one, _), (two, _) = host(bus, "10.77.0.1"), host(bus, "10.77.0.2", False)
        groups = [each.Multicast(GROUP, 9000) for each in (one, two)]
        member = make_member(A)
        for sender, receiver, size in ((0, 1, 31), (1, 0, 59)) * 2:
            record, before = bytes(seal(member, b"on")), len(bus.written)
            groups[sender].send(record)
            assert await received(groups[receiver]) == record
            escapes = sum([bus.written[before:].count(byte) for byte in (b"\xdb\xdc", b"\xdb\xdd")])
            assert len(bus.written) - before == size + 2 + escapes
            channel = groups[sender].ask(record)
            assert await received(groups[receiver]) == record
            groups[receiver].answer(record, groups[receiver].source)
            assert (await received(channel))[0] == record
            channel.close()
        assert one.dropped == two.dropped == 0
        for endpoint in groups:
            endpoint.close()

    run(main)


def test_fragments_and_other_protocols_are_refused():
    assert parse(fixed(8, 3)) is not None  # another time to live is valid
    assert parse(fixed(6, 0)) is not None  # without the flag "don't fragment"
    for at, value in ((0, 0x65), (0, 0x44), (9, 1), (9, 6), (6, 0x20), (6, 0x1F), (7, 1)):
        assert parse(fixed(at, value)) is None, (at, value)


def test_only_dotted_quads_are_addresses():
    assert address_of("10.77.0.5") == b"\x0a\x4d\0\5"
    for text in ("", "manager", "10.77.0", "10.77.0.256", "10.77.0.-1", "10.77.0.5.6", "10.77.0.x"):
        raises(UsageError, E_HOST, address_of, text)


def test_a_line_has_no_ipv6_groups():
    node, _ = host(MemoryBus(), "10.77.0.5")
    raises(UsageError, E_HOST, node.Multicast, b"\xff\x15" + bytes(14), 50_000)


def test_two_hosts_exchange_datagrams_that_a_third_does_not_receive():
    async def main():
        bus = MemoryBus()
        (server, _), (client, _), (third, _) = (host(bus, "10.77.0.%d" % number) for number in (1, 2, 3))
        service = server.Unicast(None, 5684)
        asks = client.Unicast(("10.77.0.1", 5684))
        aside = third.Unicast(None, 5684)
        asks.send(b"question")
        datagram, address = await received(service)
        assert (datagram, address[:4]) == (b"question", client.address)
        service.send(b"answer", address)
        assert (await received(asks))[0] == b"answer"
        aside.send(b"from elsewhere", address)
        assert await received(asks, 10) is None, "received from another address than that of its peer"
        assert aside.receive() == (None, None)
        for endpoint in (service, asks, aside):
            endpoint.close()

    run(main)


def test_group_messages_and_their_answers_cross_the_bus():
    async def main():
        bus = MemoryBus()
        (one, _), (two, _), (three, _) = (host(bus, "10.77.0.%d" % number) for number in (1, 2, 3))
        sender, listener, other = one.Multicast(GROUP, 9000), two.Multicast(GROUP, 9000), three.Multicast(GROUP, 9001)
        sender.send(b"on")
        assert await received(listener) == b"on"
        assert listener.source == one.address + b"\x23\x28"
        assert other.receive() is None
        assert sender.receive() is None, "received its own message"
        channel = sender.ask(b"lit?")
        assert await received(listener) == b"lit?"
        listener.answer(b"yes", listener.source)
        assert await received(channel) == (b"yes", two.address + b"\x23\x28")
        for endpoint in (sender, listener, other, channel):
            endpoint.close()

    run(main)


def test_a_flood_is_bounded_and_counted():
    async def main():
        bus = MemoryBus()
        (one, _), (two, _) = (host(bus, "10.77.0.%d" % number) for number in (1, 2))
        listener = two.Multicast(GROUP, 9000)
        sender = one.Multicast(GROUP, 9000)
        for number in range(20):
            sender.send(b"%d" % number)
        bus.lines[0].write(b"\xc0no packet\xc0")
        await until(lambda: two.dropped == 12 + 1)
        assert len(listener.waiting) == 8
        assert await received(listener) == b"0"
        listener.close()
        sender.close()

    run(main)


def fails(call, *arguments):
    """Return whether a call raises OSError."""
    try:
        call(*arguments)
    except OSError:
        return True
    return False


def test_a_broken_line_raises_and_recovers():
    async def main():
        bus = MemoryBus()
        one, line = host(bus, "10.77.0.1")
        group = one.Multicast(GROUP, 9000)
        peer = one.Unicast(("10.77.0.2", 5684))
        await asyncio.sleep(0.01)
        line.failed = True
        peer.send(b"lost as on a bad link")
        assert fails(group.send, b"on")
        line.set(True)
        await group.socket.wait()
        assert fails(group.receive)
        assert fails(group.ask, b"lit?") and len(one._endpoints) == 2, "the failed ask() left an endpoint behind"
        line.failed = False
        other = one.Unicast(("10.77.0.2", 5684))  # a new endpoint restarts the line for all
        line.data = line.data + b"\xc0" + bytes(packet(ONE, group.own, b"again")) + b"\xc0"
        line.set(True)
        assert await received(group) == b"again"
        for endpoint in (group, peer, other):
            endpoint.close()

    run_hasty(main)


def test_a_lack_of_memory_loses_only_that_datagram():
    async def main():
        bus = MemoryBus()
        (one, line), (two, _) = (host(bus, "10.77.0.%d" % number) for number in (1, 2))
        group, sender = one.Multicast(GROUP, 9000), two.Multicast(GROUP, 9000)
        read = line.read
        full = [True]

        def poor(count):
            data = read(count)
            if full.pop() if full else False:
                raise MemoryError
            return data

        line.read = poor
        sender.send(b"lost")
        await asyncio.sleep(0.05)
        sender.send(b"heard")
        assert await received(group, 200) == b"heard"
        assert one.dropped == 1
        group.close()
        sender.close()

    run(main)


def test_ephemeral_ports_differ():
    async def main():
        one, _ = host(MemoryBus(), "10.77.0.1")
        endpoints = [one.Unicast(("10.77.0.2", 5684)) for _ in range(20)]
        ports = {endpoint.own[4:] for endpoint in endpoints}
        assert len(ports) == 20 and all(port[0] >= 0xC0 for port in ports)
        for endpoint in endpoints:
            endpoint.close()

    run(main)


def test_a_wait_for_an_event_can_be_cancelled_while_the_event_occurs():
    async def main():
        for order in range(2):
            event = asyncio.Event()

            async def listen(event=event):
                while True:
                    await wait(event, ticks_add(now(), 10_000))
                    event.clear()

            task = asyncio.create_task(listen())
            await asyncio.sleep(0.01)
            if order:
                event.set()
            task.cancel()
            if not order:
                event.set()
            await asyncio.sleep(0.05)
            assert task.done()

    run(main)


def test_a_wait_for_an_event_ends_at_its_deadline():
    async def main():
        event = asyncio.Event()
        start = now()
        await wait(event, ticks_add(start, 50))
        assert 40 <= ticks_diff(now(), start) < 5000

    run(main)
