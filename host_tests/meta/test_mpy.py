# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Every file for boards compiles with mpy-cross: to bytecode, except the modules of machine code."""

from pathlib import Path

import pytest

from dicectl.errors import CommandError
from dicectl.firmware import mpy
from host_tests.each import each

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    path
    for folder in ("lib/dice", "firmware", "tools/dicectl/on_device", "host_tests/portable")
    for path in (ROOT / folder).rglob("*.py")
)
BYTECODE = 0x00  # the bits for the native architecture in the third byte of a .mpy file
NATIVE = [ROOT / "lib" / "dice" / "crypto" / f"{name}.py" for name in ("ccm_ctr", "ccm_viper", "p256_viper")]
ARCHITECTURES = ("armv6m", "armv7m", "xtensawin", "rv32imc", "x64")  # RP2040, RP2350, ESP32 and S3, ESP32-C3, the unix port


def architecture_of(path, architecture):
    """Compile a file; return the bits for the native architecture in its third byte."""
    return mpy.compile_here(path, path.name, architecture)[2] >> 2


@each([path for path in FILES if path not in NATIVE])
def test_every_file_for_boards_compiles_to_bytecode(path):
    assert architecture_of(path, None) == BYTECODE


@pytest.mark.parametrize("path", NATIVE, ids=lambda path: path.stem)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_viper_modules_compile_to_machine_code(path, architecture):
    assert architecture_of(path, architecture) != BYTECODE


def test_a_file_that_does_not_compile_is_reported(tmp_path):
    path = tmp_path / "wrong.py"
    path.write_text("match = 1\nmatch match:\n    case 1:\n        pass\n")
    with pytest.raises(CommandError, match="mpy-cross failed"):
        mpy.compile_here(path, path.name, None)


def test_the_library_is_among_the_compiled_files():
    assert len([path for path in FILES if path.is_relative_to(ROOT / "lib" / "dice")]) > 15
