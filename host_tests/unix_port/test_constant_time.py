# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""No branch and no address of the native code depends on a secret: valgrind's memcheck on the code for x64, secrets undefined."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dicectl.errors import CommandError
from dicectl.firmware import comb, native

HARNESS = Path(__file__).with_name("constant_time.c")
P256 = native.FOLDER / "core" / "p256.c"
_FOUND = 9


def checked(variant, folder, tables=None, spoilt=None):
    """Compile the core with constant_time.c, run it in valgrind; return (status, report). `spoilt` is other source of p256.c."""
    if not shutil.which("valgrind"):
        pytest.skip("missing: valgrind; install with: apt-get install valgrind")
    try:
        native.check("x64", variant)
        source, options = native.unit("x64", variant, *native.sources(), tables)
    except CommandError as failure:
        pytest.skip(failure.format_message())
    (folder / "comb.h").write_text(comb.table())
    if spoilt:
        (folder / "spoilt.c").write_text(spoilt)
        source = source.replace(str(P256), str(folder / "spoilt.c"))
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


def _spoilt():
    """Yield (variant, function, secret), those of "small" on demand."""
    for variant in native.VARIANTS:
        marks = () if variant == "fast" else pytest.mark.on_demand
        for which in (("public", "private_key"), ("ecdh", "private_key"), ("sign", "private_key"), ("sign", "nonce")):
            yield pytest.param(variant, *which, marks=marks)


@pytest.mark.parametrize("variant, function, secret", list(_spoilt()))
def test_a_branch_on_a_bit_of_a_secret_is_found(variant, function, secret, tmp_path):
    head = re.search(rf"^int dice_p256_{function}\(.*\{{$", P256.read_text(), re.MULTILINE)[0]
    branch = f'    if ({secret}[31] & 1) {{\n        __asm__ volatile("nop");\n    }}\n'
    status, report = checked(variant, tmp_path, spoilt=P256.read_text().replace(head, f"{head}\n{branch}"))
    assert status == _FOUND and f"dice_p256_{function}" in report
