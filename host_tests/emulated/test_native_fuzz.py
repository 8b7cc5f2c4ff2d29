# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The functions of `_dice` with random arguments (native_fuzz.py): nothing out of bounds is read or written, and wrong ones raise.

GCC's sanitizers check the user module with each P-256, valgrind the native .mpy for x64. DICE_SEEDS=100000 takes an hour.
"""

import os
import shutil
import subprocess

import pytest

from dicectl import resources
from dicectl.errors import CommandError
from dicectl.firmware import native
from host_tests.emulated import unix_with_module
from host_tests.seeds import seeds

SCRIPT = resources.ROOT / "host_tests" / "emulated" / "native_fuzz.py"
FUNCTIONS = ("crypt", "seal", "open", "public", "ecdh", "sign", "verify")
WAYS = {f"{name}: {way}" for name in FUNCTIONS for way in ("TypeError", "ValueError")}
WAYS |= {"crypt: NoneType", "open: NoneType", "seal: bytearray", "public: bytes", "ecdh: bytes", "sign: bytes", "verify: bool"}
WAYS |= {"open_next: tuple", "open_next: NoneType", "open_next: TypeError", "open_next: ValueError", "open_next: AttributeError"}
SEEDS = {"small": 20, "fast": 250, "mbedtls": 60}  # by their speed
_FOUND = 9


def get():
    try:
        return unix_with_module.BUILD.get()
    except CommandError as failure:
        pytest.skip(failure.format_message())


def fuzz(argv, module, tried, cwd, **environment):
    """Run it; return the ways in which calls ended."""
    argv = [*map(str, argv), SCRIPT, module, str(tried.start), str(tried.stop)]
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "halt_on_error=1", **environment}
    done = subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[-2000:] + done.stderr[:8000]
    return {line.rsplit(" ", 1)[0] for line in done.stdout.splitlines()}


@pytest.mark.parametrize("variant", unix_with_module.VARIANTS)
def test_the_user_module_stays_within_its_arguments(variant, tmp_path):
    ways = fuzz([get() / f"{variant}-checked"], "_dice", seeds(SEEDS[variant]), tmp_path)
    assert ways >= WAYS or SEEDS[variant] < 250


@pytest.fixture(scope="module", params=native.VARIANTS)
def in_valgrind(request, tmp_path_factory):
    """Return (folder with the native module in_a_file, argument vector of MicroPython)."""
    if not shutil.which("valgrind"):
        pytest.skip("missing: valgrind; install with: apt-get install valgrind")
    try:
        module = native.build("x64", request.param)
    except CommandError as failure:
        pytest.skip(failure.format_message())
    folder = tmp_path_factory.mktemp("native")
    shutil.copyfile(module, folder / "in_a_file.mpy")
    return folder, ["valgrind", "-q", f"--error-exitcode={_FOUND}", "--undef-value-errors=no", get() / "each"]


def test_the_native_module_stays_within_its_arguments(in_valgrind):
    folder, argv = in_valgrind
    ways = fuzz(argv, "in_a_file", seeds(25), folder, MICROPYPATH=str(folder))
    assert ways >= {"crypt: NoneType", "public: bytes", "verify: bool"}


TOO_FAR = """
import uctypes
import %s as _dice
short = bytes(17)
_dice.public(uctypes.bytearray_at(uctypes.addressof(short), 32))
"""


@pytest.mark.parametrize("variant", unix_with_module.VARIANTS)
def test_a_key_that_is_shorter_than_it_says_is_found_by_the_sanitizers(variant, tmp_path):
    done = subprocess.run([get() / f"{variant}-checked", "-c", TOO_FAR % "_dice"], capture_output=True, text=True)
    assert done.returncode and "ERROR: AddressSanitizer: heap-buffer-overflow" in done.stderr


def test_a_key_that_is_shorter_than_it_says_is_found_by_valgrind(in_valgrind):
    folder, argv = in_valgrind
    environment = {**os.environ, "MICROPYPATH": str(folder)}
    done = subprocess.run([*argv, "-c", TOO_FAR % "in_a_file"], env=environment, capture_output=True, text=True)
    assert done.returncode == _FOUND and "Invalid read of size" in done.stderr
