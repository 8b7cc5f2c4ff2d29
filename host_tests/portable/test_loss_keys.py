# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Handshakes with public keys over networks that lose, duplicate and reorder datagrams of 128 bytes; see test_loss for a PSK.

Flights of a dozen datagrams and more. MicroPython has one handshake of each kind: P-256 takes slow processors seconds.
"""

from certificate_pair import Chains
from lossy_network import Network
from rpk_pair import OURS, THEIRS, anybody

from dice._compat import MICROPYTHON
from dice.crypto import ecdsa
from dice.dtls.kx_ecdsa import own_point
from dice.dtls.kx_rpk import RawPublicKey
from dice.dtls.kx_rpk_server import RawPublicKeyServer

SEEDS = 1 if MICROPYTHON else 12
DISORDER = ((True, True),) if MICROPYTHON else ((False, False), (True, False), (False, True), (True, True))
BUDGET_MS = 363_000  # of one flight, as in test_loss
MTU = 128


def raw():
    """Return the credentials of a client and a server with raw public keys."""
    return RawPublicKey(OURS, [own_point(THEIRS)]), RawPublicKeyServer(THEIRS, anybody)


def certificates():
    """Return the credentials of a client and a server with chains of two certificates."""
    chains = Chains()
    return chains.client(), chains.server(anybody)


def of_one_length(private, digest, random):
    """Return a signature of 71 bytes. Those of CPython are random, so lengths would change what a seed loses."""
    signature = b""
    while len(signature) != 71:
        signature = _sign(private, digest, random)
    return signature


_sign = ecdsa.sign


def lossy_runs(credentials, loss):
    """Yield (parameters, finished Network) of handshakes with this loss."""
    ecdsa.sign = _sign if MICROPYTHON else of_one_length
    try:
        for reorder, duplicate in DISORDER:
            for seed in range(SEEDS):
                parameters = (seed, loss, reorder, duplicate)
                yield parameters, Network(seed, loss, reorder, duplicate, MTU, credentials=credentials).run()
    finally:
        ecdsa.sign = _sign


def assert_connected(credentials, least, loss_max):
    """Assert that both sides connect in time while up to this loss, with at least so many datagrams."""
    for loss in (loss_max,) if MICROPYTHON else range(0, loss_max + 1, 10):
        for parameters, network in lossy_runs(credentials, loss):
            assert network.connected == [True, True] and network.ended == [False, False], parameters
            assert network.ms <= BUDGET_MS, (parameters, network.ms)
            assert network.datagrams >= least, (parameters, network.datagrams)


def assert_consistent(credentials, loss, failed_max):
    """Many datagrams are lost. Assert that mostly both connect, and otherwise neither, or the sender of the last flight."""
    failed = alone = 0
    for parameters, network in lossy_runs(credentials, loss):
        assert network.ended[0] or network.connected[0], parameters
        assert not network.server.half_open, parameters
        assert network.connected[1] or not network.connected[0], parameters
        alone += network.connected[1] and not network.connected[0]
        failed += not all(network.connected)
    assert failed <= failed_max and alone <= SEEDS // 4, (failed, alone)  # of 4 runs for each seed


def test_raw_public_keys_connect_with_up_to_30_percent_loss():
    assert_connected(raw(), 12, 30)


def test_certificates_connect_with_up_to_20_percent_loss():
    assert_connected(certificates(), 26, 20)


def test_with_more_lost_both_sides_end_alike():
    """Each flight with certificates has 12 datagrams: if 30 % are lost, 2 of 800 handshakes fail, and if half is lost 1 in 8."""
    if not MICROPYTHON:
        assert_consistent(raw(), 50, 6)
        assert_consistent(certificates(), 30, 1)
        assert_consistent(certificates(), 50, 8)
