# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Measures whole handshakes with one kind of key, which the first argument names: psk, ecdhe_psk, rpk or certificate.

Both ends run on the device, with the cookie exchange, and prove who they are. Prints one JSON object: what session_cost.py prints,
and "backend", which computes P-256; "credentials_us", the client's time to create its credentials, once after power on;
"elapsed_us", the time of both ends and of carrying the datagrams; "modules", the bytes of heap of what a client has imported, and
its tables.

If the argument is "chain", it prints "chain_us", the time to verify three certificates: a leaf, its issuer and the issuer's, the
last of which is the anchor, and is not sent.

Certificates and keys are files, see measure/chains.py.
"""

import gc
import json
import sys
import time

NAME = "manager.home.arpa"
NOW = 1_800_000_000  # seconds since 1970-01-01
IDENTITY, KEY = b"node", bytes(range(16))


def read(name):
    """Return the bytes of a file."""
    with open(name, "rb") as file:
        return file.read()


def timed(function):
    """Return (microseconds of a call, its result)."""
    gc.collect()
    start = time.ticks_us()
    result = function()
    return time.ticks_diff(time.ticks_us(), start), result


def trust():
    """Return the trust in the root."""
    from dice.x509.chain import Trust

    return Trust([read("root.der")])


def chain(usage):
    """Return the certificates of "server" or "client"."""
    return [read(usage + ".der"), read("middle.der")]


def psk():
    """Return the client's class of credentials, and its arguments."""
    from dice.dtls.kx_psk import Psk

    return Psk, (IDENTITY, KEY), {}


def ecdhe_psk():
    """Return the same for a pre-shared key with forward secrecy."""
    from dice.dtls.kx_ecdhe_psk import EcdhePsk

    return EcdhePsk, (IDENTITY, KEY), {}


def rpk():
    """Return the same for raw public keys."""
    from dice.dtls.kx_rpk import RawPublicKey

    return RawPublicKey, (read("client.raw"), [read("server.point")]), {}


def certificate():
    """Return the same for certificates."""
    from dice.dtls.kx_cert import Certificate

    return Certificate, (read("client.raw"), chain("client"), trust(), NAME), {"clock": lambda: NOW}


def server(kind):
    """Return the credentials of the server."""
    if kind == "psk":
        from dice.dtls.kx_psk_server import PskLookup

        return PskLookup({IDENTITY: KEY}.get)
    if kind == "ecdhe_psk":
        from dice.dtls.kx_ecdhe_psk_server import EcdhePskLookup

        return EcdhePskLookup({IDENTITY: KEY}.get)
    if kind == "rpk":
        from dice.dtls.kx_rpk_server import RawPublicKeyServer

        return RawPublicKeyServer(read("server.raw"), lambda identity: True)
    from dice.dtls.kx_cert_server import CertificateServer

    return CertificateServer(read("server.raw"), chain("server"), trust(), clock=lambda: NOW)


def loaded(create):
    """Return (bytes of heap of what a client imports and keeps, microseconds to create its credentials, the credentials)."""
    gc.collect()
    before = gc.mem_alloc()
    import dice.dtls.client
    import dice.dtls.record_layer
    import dice.dtls.session  # noqa: F401 - each client has all three

    of, arguments, options = create()
    spent_us = timed(lambda: of(*arguments, **options))[0]
    arguments = options = None
    gc.collect()
    size = gc.mem_alloc() - before
    of, arguments, options = create()
    return size, spent_us, of(*arguments, **options)


def handshakes(kind):
    """Return the figures of handshakes with a kind of key."""
    modules, credentials_us, ours = loaded({"psk": psk, "ecdhe_psk": ecdhe_psk, "rpk": rpk, "certificate": certificate}[kind])
    import session_cost

    both = ours, server(kind)
    _, _, _, client = session_cost.handshake(False)  # with a pre-shared key: it loads what all kinds use
    client.close()
    client = None
    elapsed_us, (figures, _, _, client) = timed(lambda: session_cost.handshake(False, lambda: both))
    client.close()
    client = None
    figures["heap"], figures["peak"] = session_cost.handshake(True, lambda: both)[1:3]
    figures["credentials_us"], figures["elapsed_us"], figures["modules"] = credentials_us, elapsed_us, modules
    if kind != "psk":
        from dice.crypto import curve

        figures["backend"] = curve.name()
    return figures


def verification():
    """Return the time to verify a chain."""
    from dice.codes import USAGE_SERVER
    from dice.x509 import chain as x509

    known, sent = trust(), chain("server")
    x509.verify(sent, known, NAME, NOW, USAGE_SERVER)  # creates what is created once
    return {"chain_us": timed(lambda: x509.verify(sent, known, NAME, NOW, USAGE_SERVER))[0]}


if __name__ in ("__main__", sys.argv[0]):
    print(json.dumps(verification() if sys.argv[1] == "chain" else handshakes(sys.argv[1])))
