# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The module `_dice` in firmware of our own (firmware/native/usermod): the same cases as those of the native .mpy.

On the emulated RP2040 in the firmware of profile public-keys, which has it by default, and in MicroPython's unix port, which is
built with it from Debian's sources.
"""

import os
import re
import subprocess

import pytest

from dice import codes
from dicectl import resources
from dicectl.emulator import board
from dicectl.errors import CommandError
from dicectl.firmware import recipe
from host_tests import vectors, vectors_p256
from host_tests.emulated import files, unix_with_module
from host_tests.emulated.targets.rp2040 import Rp2040
from host_tests.emulated.unix_with_module import VARIANTS

CASES = files.compiled(
    resources.ROOT / "host_tests" / "emulated", "native_cases.py", "native_edges.py", "native_vectors.py", architecture="armv6m"
)
BUILT_IN = (
    'import _dice\nprint(hasattr(_dice, "__file__"), _dice.VERSION)\nfrom dice import crypto\nprint(crypto.crypt is _dice.crypt)'
)


class PublicKeys(Rp2040):
    """With the firmware of profile public-keys, and a variant of P-256."""

    def __init__(self, variant=None):
        self._variant = variant

    def get(self):
        board.check()
        return recipe.firmware("RPI_PICO", profile="public-keys", native=self._variant) / "firmware.uf2"

    def dice(self, name):
        return files.dice(self.architecture, whole=True)  # a folder dice hides all of the frozen one


def with_variant(variant):
    made = PublicKeys(variant)
    try:
        made.get()
    except CommandError as failure:
        pytest.skip(failure.format_message())
    return made


@pytest.fixture(scope="module")
def target():
    return with_variant(None)


def test_the_firmware_has_the_module_and_dice_uses_it(target):
    assert target.run(BUILT_IN, {}) == [f"False {codes.NATIVE_VERSION}", "True"]


def test_it_computes_points_signatures_and_a_record(target):
    code = "import _dice\nfrom native_cases import *\ntest_rfc_6979()\ntest_wrong_types_are_refused()\n"
    code += "data = record(33)\n_dice.crypt(21, SALT, 8, data, 13, KEY, data, None, bytes(33))\n"
    code += "print(ccm.crypt(21, SALT, 8, data, 13, KEY, data, None, None) == bytes(33))\n"
    assert target.run(code, {**target.flash("test_ccm"), **CASES}) == ["True"]


@pytest.mark.on_demand
@pytest.mark.parametrize("name", ("native_cases", "native_edges", "native_vectors"))
@pytest.mark.parametrize("variant", VARIANTS)
def test_it_computes_and_refuses_as_it_should(variant, name):
    """The variant mbedtls is p256_mbedtls.c over the Mbed TLS of the firmware, which allocates on MicroPython's heap."""
    target = with_variant(variant)
    _, output, status = target.suite(name, more={**CASES, **target.dice(name)})
    assert status == "0", output
    assert re.search(rf"^{name}: [1-9]\d* tests, 0 failed$", output, re.MULTILINE), output


PORTABLE = resources.ROOT / "host_tests" / "portable"


@pytest.fixture(scope="module", params=VARIANTS)
def unix(request):
    try:
        return unix_with_module.BUILD.get() / request.param
    except CommandError as failure:
        pytest.skip(failure.format_message())


def run(unix, name, folder, tmp_path):
    """Run a test module in the unix port with the vectors in a folder; return its output."""
    path = ":".join(map(str, (PORTABLE.parent / "emulated", PORTABLE, resources.LIB, ".frozen")))
    environment = {**os.environ, "MICROPYPATH": path, "DICE_VECTORS": str(folder), "DICE_SCRATCH": str(tmp_path)}
    done = subprocess.run([unix, PORTABLE / "run.py", name], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^{name}: [1-9]\d* tests, 0 failed$", done.stdout, re.MULTILINE)
    return done.stdout


@pytest.mark.parametrize("name", ("native_cases", "native_edges", "native_member"))
def test_it_passes_in_the_unix_port(unix, name, tmp_path):
    run(unix, name, vectors.extract(), tmp_path)


@pytest.mark.parametrize("name", ("test_ccm", "test_vectors_ccm", "test_record", "test_bulk_calls"))
def test_aes_ccm_passes_in_the_unix_port(unix, name, tmp_path):
    if unix.name == VARIANTS[0]:  # all have the same AES
        run(unix, name, vectors.extract(), tmp_path)


def test_all_vectors_of_p256(unix, tmp_path):
    """The variant mbedtls is p256_mbedtls.c as an ESP32 compiles it, but for the source of its random numbers."""
    said = run(unix, "native_vectors", vectors_p256.whole(), tmp_path)
    assert sum(map(int, re.findall(r": (\d+) cases$", said, re.MULTILINE))) > 1000
