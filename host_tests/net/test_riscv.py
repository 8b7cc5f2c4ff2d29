# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Programs with MicroPython on 32-bit RISC-V: words of 32 bits over real sockets. Scenarios of other test modules, and sessions.

QEMU's user mode does not know the option that joins a group on a named interface, so test_ipv6.py is not among them.
"""

import shlex
import subprocess
import sys

import pytest

from dice.crypto import curve
from dice.dtls.kx_rpk import identity_of
from dicectl.errors import CommandError
from dicectl.firmware import unix_port
from host_tests.emulated.targets import TABLE
from host_tests.net import test_join, test_managed
from host_tests.patience import PATIENCE_S

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


# Each runs on either interpreter, with the expression of its credentials for KEYS: in arguments, MicroPython takes 255 bytes.
CLIENT = """
import asyncio, dice
async def main():
    connection = await dice.connect(("127.0.0.1", 5684), KEYS)
    for message in (b"21.4", b"x" * 1000):
        await connection.send(message)
        print(len(await connection.receive()))
    connection.close()
asyncio.run(main())
"""
SERVER = """
import asyncio, sys, dice
async def answer(connection):
    for _ in range(2):
        message = await connection.receive()
        await connection.send(message + b"!")
    print(sys.implementation.name, [bytes(connection.session.identity), len(message)])
async def main():
    service = await dice.serve(5684, KEYS, answer)
    print("ready")
    await service.wait_closed()
asyncio.run(main())
"""
PRIVATE = {"client": bytes(31) + b"\1", "server": bytes(31) + b"\2"}
CREDENTIALS = {  # (expression of the client, of the server, identity of the client)
    "psk": ("dice.Psk(b'sensor', bytes(16))", "dice.PskLookup({b'sensor': bytes(16)}.get)", b"sensor"),
    "raw": (
        f"dice.RawPublicKey({PRIVATE['client']}, [{identity_of(curve.public(PRIVATE['server']))}])",
        f"dice.RawPublicKeyServer({PRIVATE['server']}, {{{identity_of(curve.public(PRIVATE['client']))}: True}}.get)",
        identity_of(curve.public(PRIVATE["client"])),
    ),
}


def _session(folder, kind, serves):
    """Return what a client and a server say, one of which is MicroPython: the server, if `serves`."""
    unix_port.compile_to(folder / "code")
    of_micropython, of_cpython = ([unix_port.find(), "-c"], [sys.executable, "-u", "-c"])
    of_server, of_client = (of_micropython, of_cpython) if serves else (of_cpython, of_micropython)
    by_client, by_server, _ = CREDENTIALS[kind]
    options = {"env": unix_port.environment(folder / "code"), "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([*of_server, SERVER.replace("KEYS", by_server)], **options) as server:
        try:
            assert server.stdout.readline() == "ready\n"
            said = subprocess.run([*of_client, CLIENT.replace("KEYS", by_client)], **options, check=True, timeout=PATIENCE_S).stdout
            return said, server.stdout.readline()
        finally:
            server.kill()


@pytest.mark.parametrize("serves", [False, True], ids=["client", "server"])
@pytest.mark.parametrize("kind", CREDENTIALS)
def test_a_session_with_this_computer(kind, serves, riscv, in_network, tmp_path):
    """Both prove who they are, and exchange records whose lengths have one byte and two."""
    said, by_server = in_network(_session, tmp_path, kind, serves)
    assert said == "5\n1001\n"
    assert by_server == f"{'micropython' if serves else 'cpython'} {[CREDENTIALS[kind][2], 1000]}\n"


def test_its_machine_code_is_for_riscv(riscv, tmp_path):
    """unix_port.compile_to(), which test_join uses, compiles for what it finds."""
    unix_port.compile_to(tmp_path / "code")
    code = (tmp_path / "code" / "dice" / "crypto" / "ccm_viper.mpy").read_bytes()
    assert code[2] >> 2 & 0xF == RV32IMC
