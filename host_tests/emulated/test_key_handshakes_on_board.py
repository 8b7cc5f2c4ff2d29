# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl bench --keys` on the emulated RP2040: one handshake in the gate, on demand all, as docs/handshakes.md has."""

import json

import pytest
from click.testing import CliRunner

from dicectl.cli import bench
from dicectl.emulator import board
from dicectl.errors import CommandError
from dicectl.firmware import native
from dicectl.measure import budgets, key_handshakes

TOLERANCE = 0.05
BLOCKS_BYTES = 64  # of heap, which a value on the stack may keep in use
EXACT = ("datagrams", "backend", "suite")


@pytest.fixture(scope="module")
def tools():
    """Skip if the firmware or the native module cannot be built."""
    try:
        board.check()
        board.firmware()
        native.build(key_handshakes.ARCHITECTURE, "fast")
    except CommandError as failure:
        pytest.skip(failure.format_message())


def compare(row, measured):
    """Assert that a row is about what the document says."""
    committed = key_handshakes.load()[row]
    assert measured.keys() == committed.keys()
    for what, now in measured.items():
        then = committed[what]
        if what in EXACT:
            assert now == then, f"{row}: {what}"
        else:
            assert abs(now - then) <= max(TOLERANCE * then, BLOCKS_BYTES), (
                f"{row}: {what}: {now}; run: dicectl bench --keys --write"
            )


def test_a_whole_handshake_is_measured_within_its_budget_and_as_documented(tools):
    done = CliRunner().invoke(bench.command, ["--keys", "--quick", "--json"], catch_exceptions=False)
    measured = json.loads(done.stdout)
    assert list(measured) == ["rpk_fast"]
    assert budgets.breaches({"handshakes": measured}) == []
    assert [verdict[0].name for verdict in budgets.verdicts({"handshakes": measured})] == ["rpk_fast"]
    compare("rpk_fast", measured["rpk_fast"])


@pytest.mark.on_demand
@pytest.mark.parametrize("row", key_handshakes.ROWS, ids=lambda row: row.name)
def test_every_handshake_is_as_documented(tools, row):
    measured = key_handshakes.measured(row)
    assert budgets.breaches({"handshakes": {row.name: measured}}) == []
    compare(row.name, measured)
