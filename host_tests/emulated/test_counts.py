# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Instruction counts are the same in each run, and about those of docs/footprint.md."""

import pytest

from host_tests.emulated import counts
from host_tests.emulated.targets import TABLE

TOLERANCE = 0.05
IN_QEMU = [name for name, row in TABLE.items() if row.system_call]


@pytest.mark.parametrize("target", IN_QEMU, indirect=True)
def test_counts_are_the_same_each_time_and_as_documented(target):
    committed = counts.load()[target.name]
    found = counts.count(target)
    assert found == counts.count(target)
    assert found.keys() == committed.keys(), "run: make counts"
    far = {key: (now, committed[key]) for key, now in found.items() if abs(now - committed[key]) > TOLERANCE * committed[key]}
    assert not far, f"{far}; run: make counts"
    assert found["seal a record/16"] < found["seal a record/64"] < found["seal a record/1024"]


LOOPS = """
@micropython.viper
def one(count: int) -> int:
    total = 0
    while count:
        total += 3
        count -= 1
    return total
@micropython.viper
def two(count: int) -> int:
    total = 0
    while count:
        total += 3
        total ^= 5
        count -= 1
    return total
for name, function in (("one", one), ("two", two)):
    for rounds in (0, 1000, 2000):
        print("@begin")
        function(rounds)
        print("@end")
        print("@%s/%d/1/0" % (name, rounds))
"""


@pytest.mark.parametrize("target", IN_QEMU, indirect=True)
def test_each_round_of_a_loop_of_machine_code_is_counted_to_the_instruction(target):
    found = {(name, rounds): count for name, rounds, _, count in counts.instructions(target, LOOPS)}
    one, two = (found[name, 2000] - found[name, 1000] for name in ("one", "two"))
    assert one % 1000 == two % 1000 == 0
    assert 3000 <= one < two <= 20_000


def test_the_page_has_the_committed_counts_of_every_target():
    assert counts.load().keys() == TABLE.keys()
    assert counts.listed() == counts.table(), "run: make counts"
