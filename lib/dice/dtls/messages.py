# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Handshake message bodies as a client reads and writes them, and their extensions (RFC 6347, section 4.2; RFC 5246,
section 7.4). The other half of each pair is in `server`: a client does not carry it.

    struct {                                    struct {
        ProtocolVersion client_version;             ProtocolVersion server_version;
        Random random;                              Random random;
        SessionID session_id<0..32>;                SessionID session_id<0..32>;
        opaque cookie<0..2^8-1>;                    CipherSuite cipher_suite;
        CipherSuite cipher_suites<2..2^16-1>;       CompressionMethod compression_method;
        CompressionMethod methods<1..2^8-1>;        Extension extensions<0..2^16-1>;
        Extension extensions<0..2^16-1>;        } ServerHello;
    } ClientHello;

    struct { ProtocolVersion server_version; opaque cookie<0..2^8-1>; } HelloVerifyRequest;
    struct { uint32 lifetime_hint; opaque ticket<0..2^16-1>; } NewSessionTicket;         RFC 5077, section 3.3

A reader raises FormatError if it cannot decode a message; `client` and `server` judge what it means.
"""

from ..codes import DTLS_1_2
from ..errors import FormatError
from ..limits import RANDOM_BYTES
from ..reasons import E_REPEATED
from ..wire import Reader, Writer


def write_hello(random, session_id, cookie, suites, extensions):
    """Return the body of a ClientHello; `suites` is bytes, `extensions` pairs of type and bytes."""
    writer = Writer()
    writer.uint(DTLS_1_2, 2)
    writer.put(random)
    writer.vector(session_id, 1)
    writer.vector(cookie, 1)
    writer.vector(suites, 2)
    writer.vector(b"\0", 1)  # no compression
    write_extensions(writer, extensions)
    return writer.data


def read_hello(body):
    """Return (version, random, session id, cipher suite, compression method, {extension type: bytes})."""
    reader = Reader(body)
    hello = reader.uint(2), reader.take(RANDOM_BYTES), reader.vector(1), reader.uint(2), reader.uint(1)
    return hello + (read_extensions(reader),)


def read_verify_request(body):
    """Return the cookie; its version is ignored (RFC 6347, section 4.2.1)."""
    reader = Reader(body)
    reader.uint(2)
    cookie = reader.vector(1)
    reader.end()
    return cookie


def read_ticket(body):
    """Return the ticket; empty if the server changed its mind."""
    reader = Reader(body)
    reader.uint(4)
    ticket = reader.vector(2)
    reader.end()
    return ticket


def read_extensions(reader):
    """Return {type: bytes} of the rest, which may have no list of extensions, as before TLS 1.2."""
    found = {}
    if reader.more():
        extensions = Reader(reader.vector(2))
        reader.end()
        while extensions.more():
            kind = extensions.uint(2)
            if kind in found:
                raise FormatError(E_REPEATED)
            found[kind] = extensions.vector(2)
    return found


def write_extensions(writer, extensions):
    """Append pairs of type and bytes as a list of extensions, or nothing if there are none."""
    part = Writer()
    for kind, data in extensions:
        part.uint(kind, 2)
        part.vector(data, 2)
    if extensions:
        writer.vector(part.data, 2)
