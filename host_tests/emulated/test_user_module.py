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

from dicectl import resources
from dicectl.emulator import board
from dicectl.errors import CommandError
from dicectl.firmware import recipe
from host_tests import vectors
from host_tests.emulated import files
from host_tests.emulated.targets import built
from host_tests.emulated.targets.rp2040 import Rp2040

CASES = files.compiled(resources.ROOT / "host_tests" / "emulated", "native_cases.py")
BUILT_IN = (
    'import _dice\nprint(hasattr(_dice, "__file__"), _dice.VERSION)\nfrom dice import crypto\nprint(crypto.crypt is _dice.crypt)'
)


class PublicKeys(Rp2040):
    """With the firmware of profile public-keys."""

    def get(self):
        board.check()
        return recipe.firmware("RPI_PICO", profile="public-keys") / "firmware.uf2"

    def dice(self, name):
        return files.dice(self.architecture, whole=True)  # a folder dice hides all of the frozen one


@pytest.fixture(scope="module")
def target():
    made = PublicKeys()
    try:
        made.get()
    except CommandError as failure:
        pytest.skip(failure.format_message())
    return made


def test_the_firmware_has_the_module_and_dice_uses_it(target):
    assert target.run(BUILT_IN, {}) == ["False 1", "True"]


def test_it_computes_a_point_and_a_record(target):
    """The other operations take the emulator minutes; the unix port runs them below."""
    code = "import _dice\nfrom native_cases import *\nassert _dice.public(PRIVATE) == POINT\ntest_wrong_types_are_refused()\n"
    code += "data = record(33)\n_dice.crypt(21, SALT, 8, data, 13, KEY, data, None, bytes(33))\n"
    code += "print(ccm.crypt(21, SALT, 8, data, 13, KEY, data, None, None) == bytes(33))\n"
    assert target.run(code, {**target.flash("test_ccm"), **CASES}) == ["True"]


@pytest.mark.on_demand
def test_it_computes_and_refuses_as_it_should(target):
    _, output, status = target.suite("native_cases", more={**CASES, **target.dice("native_cases")})
    assert status == "0", output
    assert re.search(r"^native_cases: 1[0-9] tests, 0 failed$", output, re.MULTILINE), output


NATIVE = resources.FIRMWARE / "native"
PORTABLE = resources.ROOT / "host_tests" / "portable"


def _make(tree, work, log):
    """Build the unix port; Debian's links the system's Mbed TLS, so TLS is left out and AES comes as for RISC-V."""
    modules = work / "modules"
    modules.mkdir()
    for folder in (NATIVE / "usermod", built.MODULES / "mbedtls"):
        (modules / folder.name).symlink_to(folder)
    argv = ["make", "-C", tree / "ports" / "unix", "VARIANT=standard", f"-j{os.cpu_count()}", f"BUILD={work / 'objects'}"]
    argv += [f"FROZEN_MANIFEST={built.MANIFEST}", f"USER_C_MODULES={modules}", *OPTIONS]
    log.run("building the unix port with the module _dice", argv)
    return work / "objects" / "micropython"


OPTIONS = ["CWARN=-w"]  # Mbed TLS in one unit defines macros twice
OPTIONS += [f"MICROPY_{name}=0" for name in ("PY_FFI", "PY_BTREE", "PY_SSL", "SSL_MBEDTLS")]
UNIX = built.Build("micropython", _make, (NATIVE, built.MODULES), ("with _dice", OPTIONS))


@pytest.fixture(scope="module")
def unix():
    try:
        return UNIX.get()
    except CommandError as failure:
        pytest.skip(failure.format_message())


@pytest.mark.parametrize("name", ("native_cases", "test_ccm", "test_vectors_ccm", "test_record", "test_bulk_calls"))
def test_it_passes_in_the_unix_port(unix, name, tmp_path):
    path = ":".join(map(str, (PORTABLE.parent / "emulated", PORTABLE, resources.LIB, ".frozen")))
    environment = {**os.environ, "MICROPYPATH": path, "DICE_VECTORS": str(vectors.extract()), "DICE_SCRATCH": str(tmp_path)}
    done = subprocess.run([unix, PORTABLE / "run.py", name], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^{name}: [1-9]\d* tests, 0 failed$", done.stdout, re.MULTILINE)
