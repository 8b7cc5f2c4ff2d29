# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Properties that hold for any input: codecs, replay window, records, and groups through reboots and re-keys."""

from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dice import record
from dice.crypto import crypt, sha256
from dice.dtls.record_layer import RecordLayer, open_cid, seal_cid
from dice.errors import CLASH, DATA, NONE, DiceError, FormatError, StoreError
from dice.group.gsa import D00, DERIVE_SENDER, DERIVE_SHARED, K08, UNKNOWN, Gsa, decode
from dice.group.gsa_encode import encode
from dice.group.member import Member
from dice.limits import WINDOW_RECORDS
from dice.reasons import E_STORE_WRITE
from dice.replay import Window
from dice.suites import PSK_AES_128_CCM, PSK_AES_128_CCM_8, SUITES
from dice.wire import Reader, Writer
from host_tests.nonces import RECORD

KEY = bytes(range(16))
SALT = b"salt"


# wire


@given(st.lists(st.one_of(st.binary(max_size=40), st.tuples(st.integers(1, 8), st.integers(0, 2**64 - 1)))))
def test_written_fields_are_read_back(fields):
    writer = Writer()
    for field in fields:
        if isinstance(field, bytes):
            writer.vector(field, 1)
        else:
            writer.uint(field[1] % 256 ** field[0], field[0])
    reader = Reader(writer.data)
    for field in fields:
        if isinstance(field, bytes):
            assert reader.vector(1) == field
        else:
            assert reader.uint(field[0]) == field[1] % 256 ** field[0]
    reader.end()


@given(st.binary(max_size=20), st.lists(st.tuples(st.sampled_from(["take", "uint", "vector"]), st.integers(0, 10))))
def test_a_reader_raises_only_format_errors(data, calls):
    reader = Reader(data)
    with suppress(FormatError):
        for name, count in calls:
            getattr(reader, name)(count)
        reader.end()


# replay


EDGES = [sign * (WINDOW_RECORDS + i) for sign in (-1, 1) for i in (-1, 0, 1)] + [-1, 0, 1]
STRIDES = st.one_of(st.sampled_from(EDGES), st.integers(-2 * WINDOW_RECORDS, 2 * WINDOW_RECORDS))


@given(st.integers(0, 2**40), st.lists(STRIDES, max_size=200))
def test_the_window_agrees_with_a_set(floor, steps):
    window, seen, top = Window(floor, bytearray(8)), set(), floor - 1
    for step in steps:
        sequence = max(0, top + step)
        fresh = sequence >= floor and sequence not in seen and sequence > top - WINDOW_RECORDS
        assert window.is_fresh(sequence) == fresh
        if fresh:
            window.see(sequence)
            seen.add(sequence)
            top = max(top, sequence)


# crypto and record


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=12, max_size=12), st.binary(max_size=40), st.binary(max_size=100))
def test_ccm_agrees_with_the_cryptography_package(key, nonce, aad, plaintext):
    for tag_bytes in (8, 16):
        buffer = bytearray(len(plaintext) + tag_bytes)
        crypt(0, nonce[:4], tag_bytes, nonce, 4, key, buffer, aad, plaintext)
        assert buffer == AESCCM(key, tag_bytes).encrypt(nonce, plaintext, aad)
        assert crypt(0, nonce[:4], tag_bytes, nonce, 4, key, buffer, aad, None) == plaintext


RECORDS = st.fixed_dictionaries(
    {
        "cipher": st.sampled_from([suite.cipher for suite in SUITES.values()]),
        "content_type": st.integers(1, 255).filter(lambda number: number != 25),
        "epoch": st.integers(0, 0xFFFF),
        "sequence": st.integers(0, 2**48 - 1),
        "plaintext": st.binary(max_size=80),
    }
)
CIDS = st.binary(min_size=1, max_size=9)


@given(RECORDS)
def test_a_record_opens_to_its_plaintext(fields):
    RECORD.new_world()
    datagram = record.seal(key=KEY, salt=SALT, **fields)
    content_type, epoch, sequence = fields["content_type"], fields["epoch"], fields["sequence"]
    assert record.well_formed(datagram)
    assert datagram[:11] == bytes((content_type, 0xFE, 0xFD)) + epoch.to_bytes(2, "big") + sequence.to_bytes(6, "big")
    assert record.open(fields["cipher"], KEY, SALT, datagram) == fields["plaintext"]


@given(RECORDS, CIDS)
def test_a_record_with_a_cid_opens_to_its_plaintext(fields, cid):
    RECORD.new_world()
    datagram = seal_cid(key=KEY, salt=SALT, cid=cid, **fields)
    assert open_cid(fields["cipher"], KEY, SALT, datagram, len(cid)) == (fields["content_type"], fields["plaintext"])


@given(RECORDS, st.integers(0), st.integers(0, 7))
def test_a_record_with_a_flipped_bit_does_not_open(fields, at, bit):
    RECORD.new_world()
    datagram = record.seal(key=KEY, salt=SALT, **fields)
    datagram[at % len(datagram)] ^= 1 << bit
    if record.well_formed(datagram):
        assert record.open(fields["cipher"], KEY, SALT, datagram) is None


@given(RECORDS, CIDS, st.integers(0), st.integers(0, 7))
def test_a_record_with_a_cid_and_a_flipped_bit_does_not_open(fields, cid, at, bit):
    RECORD.new_world()
    datagram = seal_cid(key=KEY, salt=SALT, cid=cid, **fields)
    at %= len(datagram)
    if at not in (*range(3), 11 + len(cid), 12 + len(cid)):  # the fields that RecordLayer checks
        datagram[at] ^= 1 << bit
        assert open_cid(fields["cipher"], KEY, SALT, datagram, len(cid)) is None


@given(st.binary(max_size=80), st.integers(0, 20))
@example(b"\x19\xfe\xfd" + bytes(10) + b"\x00\x08" + bytes(8), 2)
def test_any_bytes_are_a_record_or_are_dropped(data, cid_bytes):
    for head in (b"", b"\x17\xfe\xfd", b"\x19\xfe\xfd"):
        datagram = head + data
        if record.well_formed(datagram):
            assert record.open(SUITES[PSK_AES_128_CCM_8].cipher, KEY, SALT, datagram) is None
        layer = RecordLayer()
        layer.cid = bytes(cid_bytes)
        layer.set_keys(bytearray(40), True, SUITES[PSK_AES_128_CCM_8])
        size = layer.split(datagram)
        assert not size or datagram[3:5] != b"\0\1" or layer.open(datagram[:size]) is None


# GSA

GSAS = st.builds(
    lambda layout, derive, ids, own, own_next, **fields: Gsa(
        layout=layout,
        derive=derive,
        key=bytearray(range(16 if derive == DERIVE_SENDER else 20)),
        senders=[(i % (256 if layout == K08 else 65536), next_number) for i, next_number in ids.items()],
        own_id=next(iter(ids)) % (256 if layout == K08 else 65536) if own else None,
        own_next=own_next if own else 0,
        **fields,
    ),
    layout=st.sampled_from([K08, D00]),
    derive=st.sampled_from([DERIVE_SENDER, DERIVE_SHARED]),
    ids=st.dictionaries(st.integers(0, 255), st.one_of(st.just(UNKNOWN), st.integers(0, 2**49 - 1)), min_size=1, max_size=50),
    own=st.booleans(),
    gid=st.binary(min_size=4, max_size=4),
    address=st.one_of(
        st.tuples(st.integers(224, 239), st.binary(min_size=3, max_size=3)).map(lambda parts: bytes((parts[0],)) + parts[1]),
        st.binary(min_size=15, max_size=15).map(lambda rest: b"\xff" + rest),
    ),
    port=st.integers(1, 65535),
    suite=st.sampled_from([PSK_AES_128_CCM_8, PSK_AES_128_CCM]),
    epoch=st.integers(1, 65535),
    own_next=st.integers(0, 2**49 - 1),
    lifetime_s=st.integers(0, 2**32 - 1),
    budget=st.integers(1, 2**23 // 50),
    fresh=st.booleans(),
)


@given(GSAS)
def test_a_gsa_round_trips(gsa):
    assert vars(decode(encode(gsa))) == vars(gsa)


def with_check(body):
    digest = sha256()
    digest.update(body)
    return body + digest.digest()[:4]


@given(st.binary(max_size=120))
def test_any_bytes_are_a_gsa_or_raise_a_format_error(data):
    for candidate in (data, with_check(data), with_check(b"\x01" + data), with_check(b"\x02" + data)):
        with pytest.raises(FormatError):
            decode(candidate)


@given(GSAS, st.integers(0), st.integers(1, 255), st.integers(0, 30))
def test_a_changed_gsa_round_trips_or_is_refused(gsa, at, change, cut):
    body = encode(gsa)[:-4]
    body[at % len(body)] ^= change
    body = bytes(body[: len(body) - cut])
    with suppress(FormatError):
        again = decode(with_check(body))
        assert encode(again) == with_check(body)


# members

A, B = 1, 2
EPOCHS = 4


class PowerCut(Exception):
    """The device loses power during a write to its flash."""


class FlashStore:
    """A store that can fail. The power can be cut at one of its next writes, before or after the write takes effect."""

    def __init__(self):
        self.values = {}
        self.broken = False
        self.cut = None
        self.cut_in = 0

    def get(self, name):
        return self.values.get(name)

    def put(self, name, value):
        if self.broken:
            raise StoreError(E_STORE_WRITE)
        cut = None
        if self.cut:
            self.cut_in -= 1
            if self.cut_in < 0:
                cut, self.cut = self.cut, None
        if cut == "before":
            raise PowerCut
        if cut == "fail":
            raise StoreError(E_STORE_WRITE)
        self.values[name] = value
        if cut == "after":
            raise PowerCut


class MemberDevice:
    """A member with flash; the GSAs of epochs 1 to `epochs` are stored on it."""

    def __init__(self, world, own_id, options):
        self.world = world
        self.own_id = own_id
        self.options = options
        self.flash = FlashStore()
        self.epochs = 1
        self.received = set()
        self.member = None
        self.boot(0, True)

    def gsa(self, epoch, fresh):
        return self.world.gsa(epoch, self.own_id, fresh)

    def boot(self, back, fresh):
        """Reboot with one of the stored GSAs; if the member refuses it, with the newest."""
        self.member = None
        for epoch, is_fresh in ((max(1, self.epochs - back), fresh), (self.epochs, True)):
            with suppress(DiceError, PowerCut):
                self.member = Member(self.gsa(epoch, is_fresh), self.flash, 0, **self.options)
                return

    def run(self, call, *arguments):
        """Call a method of the member; a power cut reboots the device."""
        try:
            return call(*arguments)
        except PowerCut:
            self.boot(0, True)
            return None

    def receive(self, datagram):
        if not self.member:
            return NONE
        event = self.run(lambda: self.member.receive(datagram, 0))
        assert event != CLASH
        if event == DATA:
            message = (self.member.sender, self.member.data)
            assert message in self.world.sent
            assert message not in self.received
            assert self.member.sender != self.own_id
            self.received.add(message)
        return event

    def send(self):
        world = self.world
        message = b"%d" % len(world.sent)
        with suppress(DiceError):
            self.run(self.member.send, message, 0)
        datagram = self.member.transmit() if self.member else None
        if datagram is not None:
            world.sent.add((self.own_id, message))
            world.air.append(bytes(datagram))

    def install(self):
        if self.epochs < EPOCHS:
            with suppress(DiceError):
                self.member.install(self.gsa(self.epochs + 1, True), 0)
            self.epochs += 1

    def activate(self):
        with suppress(DiceError):
            self.run(self.member.activate, 0)


class GroupModel:
    """Two senders, a listener, and every datagram that was ever sent, as an attacker would have recorded it."""

    def __init__(self, layout, derive, known, options):
        self.layout, self.derive, self.known = layout, derive, known
        self.air = []
        self.sent = set()
        RECORD.new_world()
        self.devices = [MemberDevice(self, own_id, options) for own_id in (A, B, None)]

    def gsa(self, epoch, own_id, fresh):
        key = bytearray(range(epoch, epoch + (16 if self.derive == DERIVE_SENDER else 20)))
        senders = [(A, 0), (B, 0 if self.known else UNKNOWN)]
        fields = {"gid": b"grp1", "address": b"\xef\1\2\3", "port": 1, "suite": PSK_AES_128_CCM_8, "layout": self.layout}
        fields.update({"derive": self.derive, "epoch": epoch, "key": key, "own_id": own_id, "own_next": 0, "lifetime_s": 0})
        return Gsa(budget=12, senders=senders, fresh=fresh, **fields)

    def step(self, kind, device, index, bit):
        device = self.devices[device]
        if kind == "send" and device.member and device.own_id:
            device.send()
        elif kind == "deliver" and self.air:
            device.receive(self.air[-1 - index % len(self.air)])
        elif kind == "flip" and self.air:
            datagram = bytearray(self.air[-1 - index % len(self.air)])
            datagram[bit // 8 % len(datagram)] ^= 1 << bit % 8
            assert device.receive(datagram) != DATA
        elif kind == "reboot":
            device.boot(index % 3, bool(bit & 1))
        elif kind == "install" and device.member:
            device.install()
        elif kind == "activate" and device.member:
            device.activate()
        elif kind == "break":
            device.flash.broken = not device.flash.broken
        elif kind == "cut":
            device.flash.cut = ("before", "after", "fail")[bit % 3]
            device.flash.cut_in = index % 5


KINDS = ["send"] * 4 + ["deliver"] * 6 + ["flip"] + ["reboot"] * 2 + ["install", "activate", "break", "cut"]
# 5 bytes for each of 20 to 120 steps, drawn at once: draws of single numbers took five sixths of the time.
STEPS = st.binary(min_size=100, max_size=600)
OPTIONS = st.fixed_dictionaries({"reserve_records": st.sampled_from([1, 3]), "remember_records": st.sampled_from([1, 3])})


@settings(max_examples=1500)
@given(st.sampled_from([K08, D00]), st.sampled_from([DERIVE_SENDER, DERIVE_SHARED]), st.booleans(), OPTIONS, STEPS)
def test_no_message_is_received_twice_or_forged_and_no_nonce_is_repeated(layout, derive, known, options, steps):
    world = GroupModel(layout, derive, known, options)
    for kind, device, index, high, low in zip(*[iter(steps)] * 5):
        world.step(KINDS[kind % len(KINDS)], device % 3, index % 10, (high << 8 | low) % 401)
    assert RECORD.seals or not world.air, "no nonce was recorded"
    RECORD.check()


@given(st.lists(st.booleans(), max_size=12))
def test_every_message_that_is_not_lost_is_received(losses):
    world = GroupModel(K08, DERIVE_SENDER, True, {})
    sender, listener = world.devices[0], world.devices[2]
    for lost in losses:
        sender.send()
        if not lost:
            assert listener.receive(world.air[-1]) == DATA


@given(st.lists(st.binary(max_size=60), max_size=20), st.sampled_from([b"", b"\x17\xfe\xfd\0\1", b"\x17\xfe\xfd\0\1\1"]))
def test_any_bytes_are_dropped_and_counted(datagrams, head):
    member = GroupModel(K08, DERIVE_SENDER, True, {}).devices[0].member
    for datagram in datagrams:
        assert member.receive(head + datagram, 0) == NONE
    assert sum(member.dropped.values()) == len(datagrams)
    assert member.accepted == 0
