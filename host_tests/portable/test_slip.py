# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Datagrams over a serial line (RFC 1055), on streams in memory. host_tests/emulated has lines between real processes."""

import errno

from support import A, make_member, seal, sealed

from dice.limits import DATAGRAM_MAX_BYTES
from dice.transport.recode import recode
from dice.transport.slip import Serial

END = b"\xc0"
ESC = b"\xdb"


class Stream:
    """A serial line in memory: read() returns from `chunks`, one at a time; write() accepts `room` bytes at a time."""

    def __init__(self, *chunks, room=1 << 16):
        self.chunks = list(chunks)
        self.written = b""
        self.room = room
        self.asked = 0
        self.closed = False

    def read(self, count):
        self.asked = max(self.asked, count)
        if not self.chunks:
            return None
        chunk = self.chunks.pop(0)
        if len(chunk) > count:
            self.chunks.insert(0, chunk[count:])
        return chunk[:count]

    def write(self, data):
        data = bytes(data)[: self.room]
        self.written += data
        return len(data)

    def close(self):
        self.closed = True


class Uart(Stream):
    """Behaves as machine.UART: any() returns how much can be read, read() may not request more, deinit() closes."""

    def any(self):
        return len(self.chunks[0]) if self.chunks else 0

    def read(self, count):
        assert 0 < count <= self.any()
        return Stream.read(self, count)

    def deinit(self):
        self.closed = True


def received(transport):
    """Return all datagrams that a transport receives until its line is empty."""
    datagrams = []
    while True:
        datagram = transport.receive()
        if datagram is not None:
            datagrams.append(datagram)
        elif not transport.socket.chunks:
            return datagrams


def framed(*datagrams, recode=True):
    """Return the datagrams as the bytes on the line."""
    stream = Stream()
    for datagram in datagrams:
        Serial(stream, recode=recode).send(datagram)
    return stream.written


class Random:
    """A random source that is the same on every platform: a linear congruential generator."""

    def __init__(self, seed):
        self._state = seed

    def below(self, limit):
        self._state = (self._state * 1103515245 + 12345) & 0x7FFFFFFF
        return (self._state >> 8) % limit


def test_frames_are_escaped_as_in_the_rfc():
    assert framed(b"abc") == END + b"abc" + END
    assert framed(b"\xc0") == END + b"\xdb\xdc" + END
    assert framed(b"\xdb") == END + b"\xdb\xdd" + END
    assert framed(bytearray(b"\xdb\xdc\xdb\xdd\xc0")) == END + b"\xdb\xdd\xdc\xdb\xdd\xdd\xdb\xdc" + END
    assert framed(memoryview(b"abc")) == END + b"abc" + END


def test_all_combinations_of_special_bytes_round_trip():
    special = (0x00, 0xC0, 0xDB, 0xDC, 0xDD)
    datagrams = [bytes((a, b, c)) for a in special for b in special for c in special]
    assert received(Serial(Stream(framed(*datagrams)))) == datagrams


def test_frames_may_be_split_at_every_byte():
    datagrams = [b"first", b"\xc0\xdb\xdc\xdd", b"last"]
    line = framed(*datagrams)
    for cut in range(len(line) + 1):
        assert received(Serial(Stream(line[:cut], line[cut:]))) == datagrams, cut
    assert received(Serial(Stream(*[line[i : i + 1] for i in range(len(line))]))) == datagrams


def test_an_empty_line_yields_no_datagram():
    for stream in (Stream(), Stream(b""), Stream(END * 5), Uart()):
        transport = Serial(stream)
        assert transport.receive() is None
        assert transport.dropped == 0


def test_one_end_byte_between_datagrams_is_enough():
    assert received(Serial(Stream(b"one\xc0two\xc0\xc0three"))) == [b"one", b"two"]


def test_a_broken_escape_drops_only_its_frame():
    for broken in (b"a\xdbb", b"\xdb", b"\xdb\xdb\xdc", b"a\xdb\xc1", b"\xdb\xdd\xdb"):
        transport = Serial(Stream(framed(b"before") + broken + END + framed(b"after")))
        assert received(transport) == [b"before", b"after"], broken
        assert transport.dropped == 1


def test_the_longest_datagram_is_received_and_one_byte_more_is_dropped():
    for byte in (b"x", END, ESC):
        longest = byte * DATAGRAM_MAX_BYTES
        transport = Serial(Stream(framed(longest, longest + byte, b"after")))
        assert received(transport) == [longest, b"after"]
        assert transport.dropped == 1


def test_an_endless_frame_takes_bounded_memory_and_drops_only_itself():
    for noise in (b"\xff" * 100, b"\xdb\xdc" * 50):
        stream = Stream()
        transport = Serial(stream)
        for _ in range(40):
            stream.chunks.append(noise)
            assert transport.receive() is None
            assert len(transport._frame) <= 2 * DATAGRAM_MAX_BYTES + 1
        stream.chunks.append(END + framed(b"after"))
        assert received(transport) == [b"after"]
        assert transport.dropped == 1
        assert stream.asked <= 256


def test_receive_returns_although_the_line_never_pauses():
    """A line that never falls silent does not keep receive() from returning."""
    stream = Stream()
    stream.chunks = [END * 50] * 3
    transport = Serial(stream)
    for left in (2, 1, 0):
        assert transport.receive() is None
        assert len(stream.chunks) == left


def test_datagrams_survive_noise_between_frames():
    random = Random(1)
    for case in range(20):
        sent = []
        line = b""
        for _ in range(5):
            noise = bytes([random.below(256) for _ in range(random.below(20))])
            datagram = bytes([random.below(4) + (0xDB, 0xC0, 0x41)[random.below(3)] for _ in range(1 + random.below(40))])
            sent.append(datagram)
            line += noise + framed(datagram)
        pieces = []
        while line:
            count = 1 + random.below(30)
            pieces.append(line[:count])
            line = line[count:]
        got = received(Serial(Stream(*pieces)))
        assert [datagram for datagram in got if datagram in sent] == sent, case


def test_partial_writes_are_continued():
    datagram = b"\xc0\xdbabcdefgh"
    for room in range(1, 15):
        stream = Stream(room=room)
        Serial(stream).send(datagram)
        assert stream.written == framed(datagram)


def test_a_line_that_accepts_no_bytes_times_out():
    class Stuck(Stream):
        def write(self, data):
            return None

    class Poll:
        def register(self, stream, events):
            assert isinstance(stream, Stuck)

        def poll(self, timeout_ms):
            assert timeout_ms == 1000
            return []

    from dice.transport import slip as serial

    real = serial.select
    serial.select = type("Select", (), {"poll": Poll, "POLLOUT": 4})
    try:
        Serial(Stuck()).send(b"abc")
    except OSError as error:
        assert error.args[0] == errno.ETIMEDOUT
    else:
        raise AssertionError("did not raise")
    finally:
        serial.select = real


def test_a_uart_is_read_and_closed():
    stream = Uart(framed(b"\xc0one")[:3], framed(b"\xc0one")[3:], framed(b"x" * 500))
    transport = Serial(stream)
    assert received(transport) == [b"\xc0one", b"x" * 500]
    transport.close()
    assert stream.closed


def test_close_closes_the_stream():
    stream = Stream()
    Serial(stream).close()
    assert stream.closed


def test_a_command_takes_18_bytes_on_the_line_and_33_of_a_line_that_does_not_recode():
    datagram = sealed(0x0105, b"on")
    assert not [byte for byte in datagram if byte in END + ESC]  # none of them is escaped
    assert (len(framed(datagram)), len(framed(datagram, recode=False))) == (18, 33)


def test_whole_and_recoded_records_arrive_on_any_line():
    sender = make_member(A)
    datagrams = [bytes(seal(sender, bytes(size))) for size in (0, 2, 100, 1195)]
    line = framed(datagrams[0], datagrams[2]) + framed(datagrams[1], recode=False) + framed(datagrams[3])
    for recodes in (True, False):
        assert received(Serial(Stream(line), recode=recodes)) == [datagrams[0], datagrams[2], datagrams[1], datagrams[3]]


def test_datagrams_that_look_like_recoded_records_arrive_as_they_are():
    frame = recode(sealed(0, b"on"))
    datagrams = [frame, b"\0" + frame, b"\0\0" + frame, b"\x80" * 14, b"\xff" * DATAGRAM_MAX_BYTES, END * DATAGRAM_MAX_BYTES]
    for recodes in (True, False):
        transport = Serial(Stream(framed(*datagrams, recode=recodes)))
        assert received(transport) == datagrams
        assert transport.dropped == 0


def test_a_recoded_record_that_would_be_longer_than_a_datagram_is_dropped():
    """A short frame takes no more memory than a whole datagram."""
    transport = Serial(Stream(END + b"\x80" * 20 + END + b"\x80" * 21 + END + b"\x80" * 20 + END), 35)
    assert [len(datagram) for datagram in received(transport)] == [35, 35]
    assert transport.dropped == 1


def test_a_lack_of_memory_at_the_end_of_a_frame_costs_that_frame():
    from dice.transport import slip

    real = slip.restore

    def poor(frame):
        if frame:
            raise MemoryError
        return frame

    transport = Serial(Stream(framed(b"lost", b"heard")))
    slip.restore = poor
    try:
        transport.receive()
        raise AssertionError
    except MemoryError:
        pass
    finally:
        slip.restore = real
    assert received(transport) == [b"heard"]
