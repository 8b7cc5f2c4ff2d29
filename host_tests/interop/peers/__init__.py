# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Other implementations of DTLS 1.2, as clients and servers on loopback, with pre-shared keys or with `Keys`.

    from host_tests.interop import peers

    peer = peers.get("OpenSSL")                     # skips the test if it is not installed, with the command that installs it
    port = peers.free_port()
    with peer.serve(port) as server:                # defaults: suite=peers.CCM_8, identity=peers.IDENTITY, key=peers.KEY
        question, answer = peer.ask(b"ping")        # send `question` as application data; the response contains `answer`
        ...
    with peer.connect(port) as client:              # sends application data that contains client.says
        ...                                         # answer it with peer.answer(received, b"pong")
        client.read_until(b"pong")                  # it prints the answer
        client.close()                              # it sends close_notify

`peers.NAMES` lists all of them, `peers.with_feature("cid", ...)` those with all given features. base.Peer lists the features, and
each class lists the options of its `serve` and `connect`. A relay (host_tests/interop/relay.py) between both sides counts
datagrams and bytes.
"""

import functools

import pytest

from host_tests.interop.peers.base import (
    CCM,
    CCM_8,
    ECDHE_PSK_CCM,
    ECDHE_PSK_CCM_8,
    ECDSA_CCM,
    ECDSA_CCM_8,
    HOST,
    IDENTITY,
    KEY,
    Failed,
    Keys,
    Missing,
    Peer,
    PeerProcess,
    free_port,
)
from host_tests.interop.peers.bouncycastle import BouncyCastle
from host_tests.interop.peers.gnutls import GnuTLS
from host_tests.interop.peers.libcoap import LibCoAP
from host_tests.interop.peers.mbedtls import MbedTLS
from host_tests.interop.peers.openssl import OpenSSL
from host_tests.interop.peers.pypi import PythonMbedTLS
from host_tests.interop.peers.tinydtls import TinyDTLS
from host_tests.interop.peers.wolfssl import WolfSSL

__all__ = [
    "CCM", "CCM_8", "ECDHE_PSK_CCM", "ECDHE_PSK_CCM_8", "ECDSA_CCM", "ECDSA_CCM_8", "HOST", "IDENTITY", "KEY", "NAMES", "PEERS",
    "Failed", "Keys", "Missing", "Peer", "PeerProcess", "free_port", "get", "with_feature",
]  # fmt: skip

_ALL = [
    OpenSSL(), GnuTLS(), MbedTLS(), WolfSSL(), PythonMbedTLS(), TinyDTLS(), LibCoAP("OpenSSL"), LibCoAP("GnuTLS"), BouncyCastle()
]  # fmt: skip
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
    """Return a peer by its name; skip the test if it is not installed."""
    if _missing(name):
        pytest.skip(f"{PEERS[name].title}: {_missing(name)}")
    return PEERS[name]


def with_feature(*wanted):
    """Return the names of the peers that have all these features."""
    return [name for name, peer in PEERS.items() if set(wanted) <= peer.features]
