# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The seeds of tests that search: a few in the gate, as many as DICE_SEEDS says by command.

DICE_SEEDS=5000 make properties            seeds 0 to 4,999
DICE_SEEDS=5000:9000 make properties       seeds 5,000 to 8,999
"""

import contextlib
import os
import random
from unittest import mock

FIRST, LAST = ([0, *map(int, os.environ.get("DICE_SEEDS", "0").split(":"))])[-2:]


def seeds(count):
    """Return the seeds to try, a range: the first `count`, unless DICE_SEEDS names others. A failure must print its seed."""
    return range(FIRST, LAST) if LAST else range(count)


@contextlib.contextmanager
def drawn(seed):
    """Draw what os.urandom() and `secrets` return by seed, so that a run in virtual time can be repeated: keys, cookies, pauses."""
    with mock.patch("os.urandom", random.Random(f"drawn {seed}").randbytes) as randbytes, mock.patch("random._urandom", randbytes):
        yield


def search(run, count):
    """Call `run(seed)` for the first `count` seeds; it returns {what: how often it happened}. Return and print the sums.

    A failure says its seed.
    """
    done = {}
    for seed in seeds(count):
        try:
            with drawn(seed):
                results = run(seed)
            for what, often in results.items():
                done[what] = done.get(what, 0) + often
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    print(done)
    return done
