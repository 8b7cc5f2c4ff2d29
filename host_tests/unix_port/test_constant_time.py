# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""No branch and no address of the native code depends on a secret: valgrind's memcheck on the code for x64, secrets undefined."""

import shutil
import subprocess
from pathlib import Path

import pytest

from dicectl.errors import CommandError
from dicectl.firmware import comb, native

HARNESS = Path(__file__).with_name("constant_time.c")
_FOUND = 9


def checked(variant, folder, tables=None):
    """Compile the core with constant_time.c, run it in valgrind; return (status, report)."""
    if not shutil.which("valgrind"):
        pytest.skip("missing: valgrind; install with: apt-get install valgrind")
    try:
        native.check("x64", variant)
        source, options = native.unit("x64", variant, *native.sources(), tables)
    except CommandError as failure:
        pytest.skip(failure.format_message())
    (folder / "comb.h").write_text(comb.table())
    (folder / "unit.c").write_text(f'{source}#include "{HARNESS}"\n')
    argv = ["gcc", *options, "-g", "-DDICE_CHECK_SECRETS", f"-I{folder}", "-o", folder / "unit", folder / "unit.c"]
    subprocess.run(argv, check=True)
    argv = ["valgrind", "-q", f"--error-exitcode={_FOUND}", folder / "unit"]
    done = subprocess.run(argv, capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.mark.parametrize("variant", native.VARIANTS)
def test_nothing_depends_on_a_secret(variant, tmp_path):
    assert checked(variant, tmp_path) == (0, "")


def test_what_depends_on_a_secret_is_found(tmp_path):
    """As the lookups in tables of the AES that chips without a cache have."""
    status, report = checked("small", tmp_path, tables=True)
    assert status == _FOUND
    assert "Use of uninitialised value" in report and "mbedtls_internal_aes_encrypt" in report
