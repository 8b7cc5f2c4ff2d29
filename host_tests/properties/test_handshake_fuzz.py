# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""An attacker on the path changes the messages of a handshake, of each kind of keys and in both directions: no exception, no
session unless both sides saw the same messages, an alert with a reason, and nobody else is harmed (invariants 2 and 6).

Messages are changed by their structure: bytes and lengths, parts left out, doubled, exchanged with those of other messages and of
other kinds, other types and numbers, fragments that overlap or contradict each other. More by DICE_SEEDS=0:1000.
"""

import gc
import itertools
import random
from types import SimpleNamespace

import dice
from dice.codes import CONTENT_HANDSHAKE, HANDSHAKE_CLIENT_HELLO, HANDSHAKE_HELLO_VERIFY_REQUEST
from dice.crypto import ecdsa
from dice.dtls import cached_info_server, ecdhe, kx_cert, kx_ecdsa, kx_ecdsa_server, kx_rpk
from dice.dtls.client import Client
from dice.dtls.listener import Listener
from dice.dtls.record_layer import RecordLayer
from dice.dtls.resumption import Tickets
from dice.dtls.session import Session
from dice.dtls.session_index import IndexedListener
from dice.errors import CLOSED, CONNECTED, DATA, FormatError, PeerError
from dice.limits import HALF_OPEN_MS
from dice.wire import Reader
from dice.x509.chain import Trust
from host_tests.certificates import NOW, Authority, Key
from host_tests.portable.dtls_pair import IDENTITY, KEY, drain
from host_tests.seeds import search

ROOT = Authority("root")
MIDDLE = ROOT.authority("middle")
SERVER, CLIENT = MIDDLE.issue("dns:node.test", usage="server"), MIDDLE.issue("dns:lamp.test", usage="client")
TRUST = Trust([ROOT.der])
RAW_SERVER, RAW_CLIENT = Key("server"), Key("client")
# Those that `dice` says itself; 80, internal_error, is not among them: nothing that a peer sends is an error of ours.
ALERTS = {10, 40, 42, 43, 45, 46, 47, 48, 50, 51, 70, 109, 110, 120}
ROUNDS = 6


def clock():
    return NOW


def clients():
    """Return {kind: credentials of a client}."""
    raw = dice.RawPublicKey(RAW_CLIENT.private, [RAW_SERVER.point])
    certificate = dice.Certificate(CLIENT.key.private, CLIENT.chain, TRUST, "node.test", clock=clock)
    body = b"".join(len(one).to_bytes(3, "big") + one for one in SERVER.chain)
    return {
        "psk": dice.Psk(IDENTITY, KEY),
        "ecdhe_psk": dice.EcdhePsk(IDENTITY, KEY),
        "rpk": raw,
        "certificate": certificate,
        "cached rpk": dice.Cached(raw, kx_rpk.write_key(RAW_SERVER.point)),
        "cached certificate": dice.Cached(certificate, len(body).to_bytes(3, "big") + body),
    }


KINDS = list(clients())


class Site:
    """A server of all kinds, with a client that is connected and must not notice anything."""

    def __init__(self, chance):
        self.chance = chance
        self.now = 0
        self.listener = chance.choice((Listener, IndexedListener))(
            dice.AnyOf(
                dice.PskLookup({IDENTITY: KEY}.get),
                dice.EcdhePskLookup({IDENTITY: KEY}.get),
                dice.CachedServer(dice.RawPublicKeyServer(RAW_SERVER.private, {RAW_CLIENT.identity}.__contains__)),
                dice.CachedServer(
                    dice.CertificateServer(SERVER.key.private, SERVER.chain, TRUST, {b"lamp.test"}.__contains__, clock=clock)
                ),
            ),
            chance.randbytes,
            0,
            lambda address: address,
            sessions_max=64,
            cid_bytes=2,
            tickets=Tickets(chance.randbytes, 1 << 28, 0),
        )
        self.clients = clients()
        self.other = self.connect("psk", b"other")
        assert self.other.connected

    def receive(self, datagram, address):
        """Let the server receive a datagram; yield its events."""
        event, client = self.listener.receive(datagram, address, self.now)
        while event:
            yield event, client
            event, client = self.listener.receive(b"", address, self.now)

    def connect(self, kind, address, change=None, resume=None):
        """Let a client connect; return its session. change(datagram, whether it is for the server): what arrives, datagrams."""
        change = change or (lambda datagram, up: [datagram])
        cid = self.chance.choice([None, b"", b"\7\7"])
        role = Client(self.clients[kind], self.chance.randbytes, cid=cid, tickets=self.chance.random() < 0.5, resume=resume)
        session = Session(role, RecordLayer(), self.now)
        for _ in range(ROUNDS):
            for datagram in drain(session):
                for changed in change(datagram, True):
                    for event, client in self.receive(changed, address):
                        assert event in (CONNECTED, CLOSED)
                        if event == CLOSED and client.session.error:
                            check(client.session.error)
            sent = self.listener.transmit()
            while sent:
                for changed in change(bytes(sent[0]), False):
                    event = session.receive(changed, self.now)
                    while event:
                        event = session.receive(b"", self.now)
                sent = self.listener.transmit()
        if session.error:
            check(session.error)
        return session

    def check_other(self):
        """Assert that the client that was connected before still is, and that nothing of it has moved."""
        self.other.send(b"alive", self.now)
        (datagram,) = drain(self.other)
        assert [event for event, _ in self.receive(datagram, b"other")] == [DATA]

    def pass_time(self):
        """Let all handshakes end that wait."""
        self.now += HALF_OPEN_MS
        for client in self.listener.timeout(self.now):
            assert not client.session.error or isinstance(client.session.error, PeerError)
        while self.listener.transmit():
            pass
        assert not self.listener.half_open


def check(error):
    """Assert that an error is one that a peer can cause, with an alert of ours or of the peer."""
    assert isinstance(error, PeerError) and (error.alert is None or error.alert in ALERTS), (error, error.alert)


def split(datagram):
    """Return the records of a datagram, and of each whether it is a handshake message in plaintext."""
    at, found = 0, []
    while at + 13 <= len(datagram):
        header = 13 if datagram[at] != 25 else 15
        end = at + header + int.from_bytes(datagram[at + header - 2 : at + header], "big")
        record = datagram[at:end]
        found.append((record, record[0] == CONTENT_HANDSHAKE and record[3:5] == b"\0\0"))
        at = end
    return found


def record_of(like, fragment):
    """Return a handshake fragment as a record with the sequence number of another."""
    return like[:11] + len(fragment).to_bytes(2, "big") + fragment


def fragment(kind, length, sequence, offset, part):
    return (
        bytes((kind,))
        + length.to_bytes(3, "big")
        + sequence.to_bytes(2, "big")
        + offset.to_bytes(3, "big")
        + (len(part).to_bytes(3, "big") + part)
    )


class Attacker:
    """Changes one handshake. `altered`: both sides cannot have seen the same messages; `is_harmless`: they have."""

    def __init__(self, chance, seen):
        self.chance = chance
        self.seen = seen  # bodies of messages by type, of all handshakes before
        self.altered = self.is_harmless = False
        self.at = chance.randrange(12)  # which message
        self.how = chance.choice(("bytes", "structure", "swap", "kind", "number", "fragments", "contradiction", "inject", "drop"))
        self.count = 0

    def change(self, datagram, up):
        """Return the datagrams that arrive instead of one."""
        out, extra = b"", []
        for record, is_plain in split(datagram):
            if is_plain and len(record) >= 25:
                if int.from_bytes(record[14:17], "big") == len(record) - 25:
                    self.seen.setdefault(record[13], []).append(record[25:])
                    del self.seen[record[13]][:-8]
                self.count += 1
                if record[13] == HANDSHAKE_CLIENT_HELLO:
                    self.altered = False  # those before are in no transcript
                if self.count - 1 == self.at:
                    records = self.attack(record)
                    out += records[0] if records else b""
                    extra += records[1:]
                    continue
            out += record
        return ([out] if out else []) + extra

    def attack(self, record):
        """Return the records that arrive instead of a message."""
        chance = self.chance
        kind, sequence, body = record[13], int.from_bytes(record[17:19], "big"), bytearray(record[25:])
        whole = [fragment(kind, len(body), sequence, 0, bytes(body))]
        if self.how == "drop":
            return []
        if self.how == "fragments":
            # A server without state needs the beginning of a hello in one fragment, and its answer is never in several.
            self.is_harmless = kind not in (HANDSHAKE_CLIENT_HELLO, HANDSHAKE_HELLO_VERIFY_REQUEST)
            cuts = sorted({0, len(body), *(chance.randrange(len(body) + 1) for _ in range(chance.randrange(1, 6)))})
            parts = list(itertools.pairwise(cuts))
            parts += [(max(0, start - chance.randrange(9)), min(len(body), end + chance.randrange(9))) for start, end in parts[:3]]
            chance.shuffle(parts)
            parts = parts or [(0, 0)]
            found = [fragment(kind, len(body), sequence, start, bytes(body[start:end])) for start, end in parts]
        elif self.how == "contradiction":  # a fragment of another message with this number, before it or in it
            length = chance.choice((len(body), len(body) + 1, max(0, len(body) - 1), 0, 4096, 4097, 0xFFFFFF))
            start = chance.choice((0, length // 2, length))
            part = chance.randbytes(chance.choice((min(length - start, 20), 20)))  # or past the end
            wrong = fragment(chance.choice((kind, kind, 11, 15, 20)), length, sequence, start, part)
            found = chance.choice(([wrong, *whole], [*whole, wrong], [whole[0], wrong, whole[0]]))
            self.altered = None  # what was overwritten is not known
        elif self.how == "inject":
            other = chance.choice(list(self.seen))
            what = chance.choice(self.seen[other])
            extra = fragment(other, len(what), sequence + chance.choice((-1, 0, 0, 1, 1, 2)) & 0xFFFF, 0, what)
            found = chance.choice(([extra, *whole], [*whole, extra]))
            self.altered = None
        else:
            found = [self.altering(kind, sequence, body)]
            self.altered = found != whole and kind != HANDSHAKE_HELLO_VERIFY_REQUEST  # which is in no transcript
        return [record_of(record, one) for one in found]

    def altering(self, kind, sequence, body):
        """Return a message that is another one."""
        chance = self.chance
        if self.how == "number":
            sequence = (sequence + chance.choice((-1, 1, 2, 0x8000))) & 0xFFFF
        elif self.how == "kind":
            kind = chance.choice([0, 1, 2, 3, 4, 11, 12, 13, 14, 15, 16, 20, 22, 23, 255])
        elif self.how == "swap" and self.seen.get(kind):
            body = bytearray(chance.choice(self.seen[kind]))
        elif self.how == "structure":
            for _ in range(chance.randrange(1, 3)):
                start = chance.randrange(len(body) + 1)
                size = chance.choice((1, 2, 3, 4, 8, 32, 65))
                piece = bytes(body[start : start + size])
                where = chance.randrange(len(body) + 1)
                action = chance.randrange(4)
                if action == 0:
                    del body[start : start + size]
                elif action == 1:
                    body[where:where] = piece
                elif action == 2:
                    body[where : where + size] = piece
                else:
                    body[where:where] = chance.choice((bytes(size), b"\xff" * size, chance.randbytes(size)))
        else:
            for _ in range(chance.choice((1, 1, 2, 5))):
                if body:
                    body[chance.randrange(len(body))] = chance.choice((0, 1, 2, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        return fragment(kind, len(body), sequence, 0, bytes(body))


def run(seed, kinds=KINDS):
    """Attack handshakes of all kinds at one server."""
    chance = random.Random(seed)
    site = Site(chance)
    seen, done = {}, {"connected": 0, "refused": 0}
    resumptions = {}
    for number in range(60):
        kind = chance.choice(kinds)
        attacker = Attacker(chance, seen)
        address = b"%d" % number
        before = len(site.listener.sessions)
        session = site.connect(kind, address, attacker.change, resumptions.get(kind) if chance.random() < 0.3 else None)
        theirs = [client for client in site.listener.sessions if client.address == address]
        assert len(site.listener.sessions) == before + len(theirs) and len(site.listener.half_open) <= 4
        if attacker.altered and attacker.count > attacker.at:
            assert not (session.connected and theirs), (kind, attacker.how, attacker.at)
        if attacker.is_harmless:
            assert session.connected and theirs, (kind, attacker.how, session.error)
        if session.connected and theirs:
            assert session.secrets.master == theirs[0].session.secrets.master
            resumptions[kind] = session.resumption()
        done["connected" if session.connected and theirs else "refused"] += 1
        site.check_other()
        if chance.random() < 0.2 or len(site.listener.half_open) > 2:
            site.pass_time()
    site.pass_time()
    for kind in kinds:
        assert site.connect(kind, kind.encode()).connected, "a client that nobody attacks is served as before"
    return done


def test_no_message_can_be_changed_without_an_alert_and_nothing_else_happens():
    done = search(run, 12)
    assert min(done.values()) > 50


def test_handshakes_that_fail_leave_nothing_behind():
    """Objects of the library are counted after 100 and after 400 handshakes, of which hardly one succeeds."""
    chance = random.Random(7)
    site, seen, counts = Site(chance), {}, []
    for number in range(400):
        attacker = Attacker(chance, seen)
        attacker.how, attacker.at = chance.choice(("bytes", "structure", "kind", "drop")), chance.randrange(2, 9)
        site.connect(chance.choice(KINDS), b"%d" % (number % 20), attacker.change)
        if number % 3 == 2:
            site.pass_time()
        for client in list(site.listener.sessions):
            if client.address != b"other":
                site.listener.close(client)
        if number in (99, 399):
            seen.clear()
            site.pass_time()
            gc.collect()
            counts.append(sum(str(type(each).__module__).startswith("dice.") for each in gc.get_objects()))
    site.check_other()
    assert counts[1] - counts[0] < 20, counts


# readers

SIGNATURE = ecdsa.sign(RAW_CLIENT.private, bytes(32), random.Random(1).randbytes)
POINT = RAW_CLIENT.point
READERS = {
    "ServerECDHParams": (lambda data: ecdhe.read_params(Reader(data)), b"\3\0\x17A" + POINT),
    "ClientECDiffieHellmanPublic": (lambda data: ecdhe.read_public(Reader(data)), b"A" + POINT),
    "supported_groups": (lambda data: ecdhe._read_groups(hello(data), data), b"\0\4\0\x17\0\x18"),
    "ec_point_formats": (lambda data: ecdhe._read_formats(hello(data), data), b"\2\0\1"),
    "signature_algorithms": (lambda data: kx_ecdsa._read_algorithms(hello(data), data), b"\0\4\4\3\5\3"),
    "Signature": (
        lambda data: kx_ecdsa.check(POINT, bytes(32), Reader(data)),
        b"\4\3" + len(SIGNATURE).to_bytes(2, "big") + SIGNATURE,
    ),
    "Certificate of a raw public key": (lambda data: kx_rpk.read_key(Reader(data)), kx_rpk.write_key(POINT)),
    "Certificate": (lambda data: kx_cert.read_chain(Reader(data)), kx_cert.write_chain(CLIENT.chain, CLIENT.key.point)),
    "cached_info": (cached_info_server._known, b"\0\x22\1\x20" + bytes(32)),
    "server_certificate_type": (kx_ecdsa_server._types, b"\2\0\2"),
    "SubjectPublicKeyInfo in a chain": (
        lambda data: kx_cert.x509.verify([data, MIDDLE.der], TRUST, None, NOW, 2),
        CLIENT.der,
    ),
}


def hello(data):
    """Return what a reader of extensions looks at in the handshake of a server."""
    return SimpleNamespace(is_client=False, theirs={10: data})


def changed(chance, data):
    """Return bytes like some others."""
    data = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        at, size = chance.randrange(len(data) + 1), chance.choice((1, 1, 2, 3, 8))
        action = chance.randrange(4)
        if action == 0:
            data[at : at + size] = bytes(chance.choice((0, 1, 0x7F, 0x80, 0xFF)) for _ in data[at : at + size])
        elif action == 1:
            del data[at : at + size]
        elif action == 2:
            data[at:at] = chance.randbytes(size)
        else:
            data[at:at] = data[:size]
    return bytes(data)


def test_readers_of_key_exchanges_raise_nothing_but_what_becomes_an_alert():
    def run(seed):
        chance, done = random.Random(seed), {}
        for what, (read, data) in READERS.items():
            read(data)
            for number in range(300):
                given = changed(chance, data) if number else b""
                try:
                    read(given)
                    result = "read"
                except FormatError:
                    result = "decode_error"
                except PeerError as error:
                    check(error)
                    result = "alert"
                except Exception as error:
                    raise AssertionError(f"{what}: {given.hex()}") from error
                done[result] = done.get(result, 0) + 1
        return done

    assert len(search(run, 3)) == 3
