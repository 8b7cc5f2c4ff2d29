# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Handshakes over networks that lose, double and swap datagrams, in virtual time: they succeed, and never on one side alone."""

from lossy_network import shake_hands

from dice._compat import MICROPYTHON

SEEDS = 2 if MICROPYTHON else 12
MTUS = (1232, 256, 128)
BUDGET_MS = 363_000  # 1 + 2 + ... + 32 + 60 + 60 + 60 + 60 + 60 s of one flight


def _all(loss):
    for mtu in MTUS:
        for reorder in (False, True):
            for duplicate in (False, True):
                for seed in range(SEEDS):
                    yield (
                        (seed + 1000 * mtu, loss, reorder, duplicate, mtu),
                        shake_hands(seed + 1000 * mtu, loss, reorder, duplicate, mtu),
                    )


def _ends_well(loss):
    for what, outcome in _all(loss):
        assert outcome.client and outcome.server and not outcome.failed, what
        assert outcome.ms <= BUDGET_MS, (what, outcome.ms)


def test_without_loss():
    for what, outcome in _all(0):
        assert outcome.client and outcome.server, what
        assert outcome.ms < 1000, (what, outcome.ms)


def test_a_tenth_is_lost():
    _ends_well(10)


def test_a_fifth_is_lost():
    _ends_well(20)


def test_a_third_is_lost():
    _ends_well(30)


def test_half_is_lost():
    """They may fail, and then both know, but for a server whose last flight never arrives: nobody can tell it (two generals)."""
    failed = 0
    for what, outcome in _all(50):
        assert outcome.failed or (outcome.client and outcome.server), what
        assert outcome.server or not outcome.client, what
        failed += outcome.failed
    assert failed <= 2 + SEEDS, failed


def test_the_least_that_it_takes():
    outcome = shake_hands(1, 0)
    assert (outcome.datagrams, outcome.ms) == (6, 120)
    assert outcome.bytes <= 480
