# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A back end that is not there is an error, on both interpreters: never something slower or leakier in its place."""

import os
import subprocess
import sys

import pytest

from dicectl import resources
from dicectl.firmware import unix_port

HIDE = """
import sys
class Nothing: pass
sys.modules[{name!r}] = {nothing}
try:
    import dice.crypto
except ImportError as error:
    print("ImportError", {name!r})
else:
    print("imported", dice.crypto.name())
"""


def printed(argv, environment):
    """Return what a command prints."""
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("name", ["cryptography", "cryptography.hazmat.primitives.ciphers"])
def test_cpython_without_cryptography_fails(name):
    environment = {**os.environ, "PYTHONPATH": str(resources.LIB)}
    assert printed([sys.executable, "-c", HIDE.format(name=name, nothing=None)], environment) == ["ImportError", name]


@pytest.mark.parametrize("name", ["cryptolib", "hashlib"])
def test_micropython_without_its_ciphers_fails(name):
    """A firmware that lacks them has no such name in these modules, or no such module."""
    argv = [unix_port.find(), "-c", HIDE.format(name=name, nothing="Nothing()")]
    assert printed(argv, unix_port.environment()) == ["ImportError", name]


def test_with_everything_in_place_it_is_imported():
    """Or the tests above would show nothing."""
    program = HIDE.format(name="teapot", nothing=None)
    environment = {**os.environ, "PYTHONPATH": str(resources.LIB)}
    assert printed([sys.executable, "-c", program], environment)[:2] == ["imported", "host"]
    assert printed([unix_port.find(), "-c", program], unix_port.environment())[:2] == ["imported", "device"]
