# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""No pair of key and nonce seals two contents where `_dice` seals: the portable tests in MicroPython's unix port, each recorded.

host_tests/nonces.py does this for tests on CPython, which has no records in C.
"""

import os
import subprocess

import pytest

from dicectl import resources
from dicectl.errors import CommandError
from dicectl.firmware import native, unix_port
from host_tests import nonces, vectors

PORTABLE = resources.ROOT / "host_tests" / "portable"
# Others run test_names, which loads all of dice, and those that count calls and memory, which `_dice` changes.
FILES = sorted({path.stem for path in PORTABLE.glob("test_*.py")} - {"test_bulk_calls", "test_full_heap", "test_names"})
# Each has many pairs of ends, which draw the same randoms on MicroPython (portable/rpk_pair.py).
SEEDED = {
    "test_kx_rpk::test_a_session_needs_all_messages_in_order",
    "test_kx_rpk::test_each_state_with_each_plaintext_message_gives_the_right_alert",
}
TWICE = """
import _dice
from dice.dtls import record_layer
from dice.suites import SUITES

def test_one():
    assert record_layer.seal is _dice.seal
    for text in (b"on", b"off"):
        record_layer.seal(SUITES[0xC0A8].cipher, bytes(16), b"salt", 23, 1, 7, text)
"""


@pytest.fixture(scope="module")
def module():
    """Return the path of _dice.mpy."""
    try:
        return native.build("x64", "fast")
    except CommandError as failure:
        pytest.skip(failure.format_message())


@pytest.fixture
def record():
    """Yield a record of nonces."""
    yield nonces.Record()
    nonces.RECORD.begin()


def sealed(module, names, folder, path=()):
    """Yield (test, [(key, nonce, sealed), ...]) of each test in these modules, run in the unix port with `_dice`."""
    found = folder / "nonces"
    search = [module.parent, *path, PORTABLE, resources.LIB, resources.ON_DEVICE, ".frozen"]
    environment = unix_port.environment(":".join(map(str, search)))
    environment.update(DICE_VECTORS=str(vectors.extract()), DICE_SCRATCH=str(folder))
    argv = [unix_port.find(), "-X", "heapsize=8m", "-m", "recording", str(found), *names]
    done = subprocess.run(argv, env=environment, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for part in found.read_text().split("# ")[1:]:
        test, *lines = part.splitlines()
        yield test, [tuple(map(bytes.fromhex, line.split(" "))) for line in lines]


def test_a_number_that_is_used_twice_is_seen(module, record, tmp_path):
    (tmp_path / "test_twice.py").write_text(TWICE)
    ((test, seals),) = sealed(module, ["test_twice"], tmp_path, [tmp_path])
    assert test == "test_twice::test_one" and len(seals) == 2
    for seal in seals:
        record.note(*seal)
    assert len(record.repeated) == 1


def test_no_number_is_used_twice(module, record, tmp_path):
    tests = seals = 0
    for name in FILES:
        folder = tmp_path / name
        os.mkdir(folder)
        for test, found in sealed(module, [name], folder):
            tests += 1
            record.begin()
            for seal in found:
                record.note(*seal)
            seals += len(found)
            if test not in SEEDED and not nonces.exempt("portable/" + test.replace("::", ".py::")):
                record.check(f"{test}: ")
    assert tests > 500 and seals > 10_000, (tests, seals)
