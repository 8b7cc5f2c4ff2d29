# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Other implementations of DTLS 1.2, as PSK clients and servers on loopback, for tests of our own.

    from host_tests.interop import peers

    peer = peers.get("OpenSSL")                     # skips the test where it is not there, and says how to get it
    port = peers.free_port()
    with peer.serve(port) as server:                # suite=peers.CCM_8, identity=peers.IDENTITY, key=peers.KEY are the defaults
        question, answer = peer.ask(b"ping")        # send `question` as application data; `answer` is in what comes back
        ...
    with peer.connect(port) as client:              # sends application data that contains client.says
        ...                                         # answer it with peer.answer(what was received, b"pong")
        client.read_until(b"pong")                  # and it prints that
        client.close()                              # a close_notify follows

`peers.NAMES` is all of them, `peers.with_feature("cid", ...)` those that have all of some features; base.Peer lists these, and
each class the options that `serve` and `connect` take. A relay (host_tests/interop/relay.py) between both ends counts datagrams and
bytes.
"""

import functools

import pytest

from host_tests.interop.peers.base import CCM, CCM_8, HOST, IDENTITY, KEY, Failed, Missing, Peer, Running, free_port
from host_tests.interop.peers.bouncycastle import BouncyCastle
from host_tests.interop.peers.gnutls import GnuTLS
from host_tests.interop.peers.libcoap import LibCoAP
from host_tests.interop.peers.mbedtls import MbedTLS
from host_tests.interop.peers.of_pypi import PythonMbedTLS, TinyDTLS
from host_tests.interop.peers.openssl import OpenSSL

__all__ = [
    "CCM", "CCM_8", "HOST", "IDENTITY", "KEY", "NAMES", "PEERS", "Failed", "Missing", "Peer", "Running", "free_port", "get",
    "with_feature",
]  # fmt: skip

_ALL = [OpenSSL(), GnuTLS(), MbedTLS(), PythonMbedTLS(), TinyDTLS(), LibCoAP("OpenSSL"), LibCoAP("GnuTLS"), BouncyCastle()]
PEERS = {peer.name: peer for peer in _ALL}
NAMES = list(PEERS)


@functools.cache
def _missing(name):
    try:
        PEERS[name].check()
    except Missing as missing:
        return str(missing)
    return None


def get(name):
    """Return a peer by its name; skips the test where it is not there."""
    if _missing(name):
        pytest.skip(f"{PEERS[name].title}: {_missing(name)}")
    return PEERS[name]


def with_feature(*wanted):
    """Return the names of the peers that have all these features."""
    return [name for name, peer in PEERS.items() if set(wanted) <= peer.features]
