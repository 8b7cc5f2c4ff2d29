# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""dicectl without modules and calls of Linux, as on macOS and Windows: commands work, or name their requirement in one line.

other_system/sitecustomize.py hides what those systems lack. It does not replace a run on them.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from host_tests.unit.test_flash import INFO, uf2_image

SYSTEMS = ("darwin", "win32")
KEY = "000102030405060708090a0b0c0d0e0f"
EVERY_HELP = """
import click
from click.testing import CliRunner
from dicectl.__main__ import cli

def visit(command, words):
    done = CliRunner().invoke(cli, [*words, "--help"], standalone_mode=False)
    assert done.exit_code == 0 and "Usage" in done.output, (words, done.output, done.exception)
    print(*words)
    for name in command.list_commands(None) if isinstance(command, click.Group) else ():
        visit(command.get_command(None, name), [*words, name])

visit(cli, [])
"""


def environment(system):
    """Return the environment in which Python looks like that of another system."""
    return {**os.environ, "OTHER_SYSTEM": system, "PYTHONPATH": str(Path(__file__).parent / "other_system")}


def run(system, folder, *arguments):
    """Run dicectl on another system."""
    argv = [sys.executable, "-m", "dicectl", *map(str, arguments)]
    return subprocess.run(argv, cwd=folder, env=environment(system), capture_output=True, text=True)


def succeeds(system, folder, *arguments):
    done = run(system, folder, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_help_of_every_command_works(system, tmp_path):
    argv = [sys.executable, "-c", EVERY_HELP]
    done = subprocess.run(argv, cwd=tmp_path, env=environment(system), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {"group ask", "keyring rekey", "dtls-client", "completion"} < set(done.stdout.split("\n"))


@pytest.mark.parametrize("system", SYSTEMS)
def test_keyring_creates_and_exports_a_group(system, tmp_path):
    succeeds(system, tmp_path, "keyring", "new", "lamps.group")
    succeeds(system, tmp_path, "keyring", "add-sender", "lamps.group", "switch")
    succeeds(system, tmp_path, "keyring", "export", "lamps.group", "lamp.gsa")
    succeeds(system, tmp_path, "keyring", "export", "lamps.group", "switch.gsa", "--sender", "switch")
    succeeds(system, tmp_path, "keyring", "rekey", "lamps.group")
    assert json.loads(succeeds(system, tmp_path, "keyring", "show", "lamps.group", "--json"))["epoch"] == 2
    assert {path.name for path in tmp_path.iterdir()} - {"lamps.group.lock"} == {"lamps.group", "lamp.gsa", "switch.gsa"}


@pytest.mark.parametrize("system", SYSTEMS)
def test_doctor_examines_the_computer(system, tmp_path):
    assert succeeds(system, tmp_path, "doctor", "E33").startswith("E33: ")
    assert "mpremote" in json.loads(succeeds(system, tmp_path, "doctor", "--json"))["host"]


@pytest.mark.parametrize("system", SYSTEMS)
def test_flash_copies_to_a_boot_drive(system, tmp_path):
    drive = tmp_path / "drive"
    drive.mkdir()
    (drive / "INFO_UF2.TXT").write_text(INFO)
    image = uf2_image(tmp_path / "firmware.uf2")
    arguments = ("flash", "RPI_PICO", "--firmware", image, "--port", drive)
    assert f"would run: copy {image} to {drive}" in succeeds(system, tmp_path, *arguments, "--dry-run")
    argv = [sys.executable, "-m", "dicectl", *map(str, arguments)]
    with subprocess.Popen(argv, cwd=tmp_path, env=environment(system), stdout=subprocess.PIPE, text=True) as process:
        copy = drive / "firmware.uf2"
        while process.poll() is None and not (copy.exists() and copy.stat().st_size == image.stat().st_size):
            pass
        (drive / "INFO_UF2.TXT").unlink()  # the board restarts
        assert "done" in process.communicate()[0] and process.returncode == 0
    assert copy.read_bytes() == image.read_bytes()


@contextlib.contextmanager
def dtls_server(folder):
    """Run an echo server on this system; yield its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    (folder / "node.key").write_text(KEY)
    argv = [sys.executable, "-m", "dicectl", "dtls-server", str(port), "--psk-identity", "node", "--psk-file", "node.key", "--echo"]
    with subprocess.Popen(argv, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert "listening" in process.stderr.readline()
        try:
            yield port
        finally:
            process.terminate()


@pytest.mark.parametrize("system", SYSTEMS)
def test_dtls_client_exchanges_a_message(system, tmp_path):
    with dtls_server(tmp_path) as port:
        arguments = ("dtls-client", "127.0.0.1", port, "--psk-identity", "node", "--psk-file", "node.key")
        assert succeeds(system, tmp_path, *arguments, "--message", "hello") == "hello\n"
        argv = [sys.executable, "-m", "dicectl", *map(str, arguments)]
        done = subprocess.run(argv, cwd=tmp_path, env=environment(system), input="one\ntwo\n", capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, "one\ntwo\n"), done.stderr


@pytest.mark.parametrize(
    ("system", "arguments", "needs"),
    [
        ("darwin", ("demo",), "Linux"),
        ("win32", ("demo",), "Linux"),
        ("win32", ("build", "RPI_PICO", "--from-debian"), "Linux or macOS"),
        ("win32", ("manager", "run"), "Linux or macOS"),
        ("win32", ("group", "list"), "Linux or macOS"),
        ("win32", ("provision", "list"), "Linux or macOS"),
        ("win32", ("emulate", "--repl"), "Linux or macOS"),
        ("win32", ("gateway", "COM3"), "Linux or macOS"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_command_for_another_system_names_it_in_one_line(system, arguments, needs, tmp_path):
    done = run(system, tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("dicectl: ") and done.stderr.endswith(f" needs {needs}\n") and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_socket_path_that_is_too_long_on_macos_is_refused(tmp_path):
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    done = run("darwin", folder, "group", "list", "-m", folder / "dice.db")
    assert done.returncode == 2 and "too long for a socket" in done.stderr and done.stderr.count("\n") == 1
