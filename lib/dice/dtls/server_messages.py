# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Handshake message bodies as a server reads and writes them: see `messages` (row 3)."""

from ..codes import DTLS_1_2
from ..limits import RANDOM_BYTES
from ..wire import Reader, Writer
from .messages import read_extensions, write_extensions


def read_hello(body):
    """Return (version, random, session id, cookie, cipher suites as bytes, compression methods, {extension type: bytes})."""
    reader = Reader(body)
    hello = read_hello_start(reader)
    return hello + (reader.vector(1), read_extensions(reader))


def read_hello_start(reader):
    """Return (version, random, session id, cookie, cipher suites): all that a cookie covers, so that a fragment may do."""
    return reader.uint(2), reader.take(RANDOM_BYTES), reader.vector(1), reader.vector(1), reader.vector(2)


def write_hello(random, session_id, suite, extensions):
    """Return the body of a ServerHello."""
    writer = Writer()
    writer.uint(DTLS_1_2, 2)
    writer.put(random)
    writer.vector(session_id, 1)
    writer.uint(suite, 2)
    writer.uint(0, 1)
    write_extensions(writer, extensions)
    return writer.data


def write_verify_request(cookie):
    """Return the body of a HelloVerifyRequest."""
    writer = Writer()
    writer.uint(0xFEFF, 2)  # whatever comes to be negotiated
    writer.vector(cookie, 1)
    return writer.data


def write_ticket(lifetime_s, ticket):
    """Return the body of a NewSessionTicket."""
    writer = Writer()
    writer.uint(lifetime_s, 4)
    writer.vector(ticket, 2)
    return writer.data
