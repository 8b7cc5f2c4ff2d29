# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The seeds of tests that search: a few in the gate, as many as DICE_SEEDS says by command.

DICE_SEEDS=5000 make properties            seeds 0 to 4,999
DICE_SEEDS=5000:9000 make properties       seeds 5,000 to 8,999
"""

import os

FIRST, LAST = ([0, *map(int, os.environ.get("DICE_SEEDS", "0").split(":"))])[-2:]


def seeds(count):
    """Return the seeds to try, a range: the first `count`, unless DICE_SEEDS names others. A failure must print its seed."""
    return range(FIRST, LAST) if LAST else range(count)


def search(run, count):
    """Call `run(seed)` for the first `count` seeds; it returns {what: how often it happened}. Return and print the sums.

    A failure says its seed.
    """
    done = {}
    for seed in seeds(count):
        try:
            for what, often in run(seed).items():
                done[what] = done.get(what, 0) + often
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    print(done)
    return done
