# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""dicectl/small_file.py, and the commands that read with it: a file without an end costs one line."""

import pytest
from click.testing import CliRunner

from dicectl.__main__ import cli
from dicectl.errors import USAGE, CommandError
from dicectl.small_file import read

ENDLESS = "/dev/zero"


def test_a_file_is_read_and_a_longer_one_refused(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes(1 << 20))
    assert len(read(path, "a key")) == 1 << 20
    path.write_bytes(bytes((1 << 20) + 1))
    for found in (path, ENDLESS, tmp_path, tmp_path / "none"):
        with pytest.raises(CommandError) as error:
            read(found, "a key")
        assert error.value.exit_code == USAGE and f"{found}" in str(error.value) and "should contain a key" in str(error.value)


COMMANDS = [
    ("ca", "sign", "CA", ENDLESS, "--name", "x.example", "--usage", "client", "--out", "out"),
    ("dtls-client", "127.0.0.1", "5684", "--key", ENDLESS, "--peer-key", "00" * 32),
    ("dtls-client", "127.0.0.1", "5684", "--psk-identity", "x", "--psk-file", ENDLESS),
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_command_says_so_in_one_line(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    assert runner.invoke(cli, ["ca", "new", "CA"]).exit_code == 0
    done = runner.invoke(cli, arguments)
    assert done.exit_code == USAGE and f"{ENDLESS} is too long: it should contain" in done.output, done.output
