# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Describes DTLS datagrams as text, and writes key log lines for Wireshark."""

_TYPES = {20: "ChangeCipherSpec", 21: "Alert", 22: "Handshake", 23: "ApplicationData", 25: "with CID"}
_MESSAGES = {
    0: "HelloRequest",
    1: "ClientHello",
    2: "ServerHello",
    3: "HelloVerifyRequest",
    4: "NewSessionTicket",
    11: "Certificate",
    12: "ServerKeyExchange",
    13: "CertificateRequest",
    14: "ServerHelloDone",
    15: "CertificateVerify",
    16: "ClientKeyExchange",
    20: "Finished",
}
_HEADER_BYTES = 13
_FRAGMENT_HEADER_BYTES = 12


def keylog(session):
    """Return the line of an NSS key log with the master secret of a session, which lets Wireshark decrypt it."""
    secrets = session.secrets
    return f"CLIENT_RANDOM {secrets.randoms[:32].hex()} {secrets.master.hex()}"


def describe(datagram):
    """Return the records of a datagram as text, such as "ClientKeyExchange, ChangeCipherSpec, Handshake (encrypted)"."""
    records = []
    at = 0
    while at + _HEADER_BYTES <= len(datagram):
        kind = datagram[at]
        if kind == 25:  # the header does not say how long the connection id is: assume a single record
            return ", ".join([*records, "protected record with a connection id"])
        end = at + _HEADER_BYTES + int.from_bytes(datagram[at + 11 : at + 13], "big")
        epoch = int.from_bytes(datagram[at + 3 : at + 5], "big")
        body = datagram[at + _HEADER_BYTES : end]
        records.append(f"{_TYPES.get(kind, f'type {kind}')} (encrypted)" if epoch else _plain(kind, body))
        at = end
    return ", ".join(records) if records and at == len(datagram) else ", ".join([*records, "malformed"])


def _plain(kind, body):
    if kind == 21 and len(body) == 2:
        return f"Alert {body[1]} ({'fatal' if body[0] == 2 else 'warning'})"
    if kind != 22 or len(body) < _FRAGMENT_HEADER_BYTES:
        return _TYPES.get(kind, f"type {kind}")
    name = _MESSAGES.get(body[0], f"message {body[0]}")
    total, offset, size = (int.from_bytes(body[start : start + 3], "big") for start in (1, 6, 9))
    return name if size == total else f"{name} (bytes {offset} to {offset + size} of {total})"
