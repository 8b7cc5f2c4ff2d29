# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Programs of other test modules here, with MicroPython on 32-bit RISC-V: words of 32 bits over real sockets.

QEMU's user mode does not know the option that joins a group on a named interface, so test_ipv6.py is not among them.
"""

import shlex

import pytest

from dicectl.errors import CommandError
from dicectl.firmware import unix_port
from host_tests.emulated.targets import TABLE
from host_tests.net import test_join, test_managed

RV32IMC = 11  # in the head of a .mpy file


@pytest.fixture
def riscv(tmp_path, monkeypatch):
    """Have MicroPython run on RISC-V; skips if that is not available."""
    target = TABLE["riscv32"]
    try:
        target.get()
    except CommandError as failure:
        pytest.skip(failure.format_message())
    path = tmp_path / "micropython"
    path.write_text(f'#!/bin/sh\nexec {shlex.join(target.command())} "$@"\n')
    path.chmod(0o755)
    monkeypatch.setenv("MICROPYTHON", str(path))


@pytest.mark.parametrize(
    "scenario",
    [
        test_join.test_cpython_receives_from_micropython,
        test_join.test_micropython_receives_from_cpython,
        test_managed.test_members_join_are_rekeyed_expelled_and_return,
    ],
    ids=lambda function: function.__name__.removeprefix("test_"),
)
def test_it_works_on_riscv(scenario, riscv, in_network, tmp_path):
    scenario(in_network, tmp_path)


def test_its_machine_code_is_for_riscv(riscv, tmp_path):
    """unix_port.compile_to(), which test_join uses, compiles for what it finds."""
    unix_port.compile_to(tmp_path / "code")
    code = (tmp_path / "code" / "dice" / "crypto" / "ccm_viper.mpy").read_bytes()
    assert code[2] >> 2 & 0xF == RV32IMC
