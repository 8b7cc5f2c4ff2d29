# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A table of the bytes of a handshake with raw public keys: datagrams, records, messages and fields.

python -m host_tests.handshake_bytes [--cached]
"""

import os
import sys

from dice.dtls.cached_info import Cached
from dice.dtls.cached_info_server import CachedServer
from dice.dtls.client import Client
from dice.dtls.kx_rpk import RawPublicKey
from dice.dtls.kx_rpk_server import RawPublicKeyServer
from dice.dtls.listener import Listener
from dice.dtls.record_layer import RecordLayer
from dice.dtls.session import Session
from dice.wire import Reader

HANDSHAKE, RECORD_HEADER, MESSAGE_HEADER = 22, 13, 12
OURS, THEIRS = bytes(31) + b"\1", bytes(31) + b"\2"
MESSAGES = {
    1: "ClientHello",
    2: "ServerHello",
    3: "HelloVerifyRequest",
    11: "Certificate",
    12: "ServerKeyExchange",
    13: "CertificateRequest",
    14: "ServerHelloDone",
    15: "CertificateVerify",
    16: "ClientKeyExchange",
}
EXTENSIONS = {
    1: "max_fragment_length",
    10: "supported_groups",
    11: "ec_point_formats",
    13: "signature_algorithms",
    19: "client_certificate_type",
    20: "server_certificate_type",
    23: "extended_master_secret",
    25: "cached_info",
    65281: "renegotiation_info",
}


def flights(cached=False):
    """Return the datagrams of a full handshake, [(sender, bytes)]: both sides prove their keys, with a cookie and without CIDs."""
    lookup = RawPublicKeyServer(THEIRS, lambda identity: True)
    client = RawPublicKey(OURS, [lookup.point])
    if cached:
        client, lookup = Cached(client, lookup.certificate()), CachedServer(lookup)
    server = Listener(lookup, os.urandom, 0, lambda address: address)
    session = Session(Client(client, os.urandom, cid=None), RecordLayer(), 0)
    sent = []
    while not session.connected:
        while datagram := session.transmit():
            sent.append(("client", bytes(datagram)))
            server.receive(datagram, b"a", 0)
            while server.receive(b"", b"a", 0)[0]:
                pass
        while answer := server.transmit():
            sent.append(("server", bytes(answer[0])))
            session.receive(bytes(answer[0]), 0)
    return sent


def rows(datagrams):
    """Yield (datagram number, sender, message, field, bytes) of all bytes, in their order."""
    for number, (sender, datagram) in enumerate(datagrams, 1):
        reader = Reader(datagram)
        while reader.more():
            header = reader.take(RECORD_HEADER)
            body = reader.take(int.from_bytes(header[11:], "big"))
            if header[0] != HANDSHAKE:
                yield number, sender, "ChangeCipherSpec", "record header", RECORD_HEADER
                yield number, sender, "ChangeCipherSpec", "type", len(body)
            elif header[4]:
                yield number, sender, "Finished", "record header", RECORD_HEADER
                yield number, sender, "Finished", "explicit nonce, tag", 16
                yield number, sender, "Finished", "message header", MESSAGE_HEADER
                yield number, sender, "Finished", "verify_data", len(body) - 16 - MESSAGE_HEADER
            else:
                name = MESSAGES[body[0]]
                yield number, sender, name, "record header", RECORD_HEADER
                yield number, sender, name, "message header", MESSAGE_HEADER
                for field, size in _fields(name, body[MESSAGE_HEADER:]):
                    yield number, sender, name, field, size


def _fields(name, body):
    """Yield (field, bytes) of a message."""
    reader = Reader(body)
    if name == "HelloVerifyRequest":
        yield from (("server_version", 2), ("cookie", len(body) - 2))
    elif name in ("ClientHello", "ServerHello"):
        reader.take(34)
        yield from (("version, random", 34), ("session_id", 1 + len(reader.vector(1))))
        if name == "ClientHello":
            yield "cookie", 1 + len(reader.vector(1))
            yield "cipher_suites", 2 + len(reader.vector(2))
            yield "compression_methods", 1 + len(reader.vector(1))
        else:
            yield "cipher_suite, compression_method", len(reader.take(3))
        extensions = Reader(reader.vector(2))
        yield "length of extensions", 2
        while extensions.more():
            kind = extensions.uint(2)
            yield EXTENSIONS[kind], 4 + len(extensions.vector(2))
    elif name == "Certificate":
        yield ("fingerprint" if len(body) == 33 else "length, SubjectPublicKeyInfo"), len(body)
    elif name == "ServerKeyExchange":
        yield from (("curve, point", 69), ("algorithm, signature", len(body) - 69))
    elif body:
        others = {"CertificateRequest": "types, algorithms, authorities", "ClientKeyExchange": "point"}
        yield others.get(name, "algorithm, signature"), len(body)


def main(cached):
    """Print the table."""
    total, last = 0, None
    for number, sender, name, field, size in rows(flights(cached)):
        if (number, name) != last:
            print(f"{number} {sender:6} {name}")
            last = number, name
        print(f"{'':12}{field:34}{size:4}")
        total += size
    print(f"{'':12}{'total':34}{total:4}")


if __name__ == "__main__":
    main("--cached" in sys.argv[1:])
