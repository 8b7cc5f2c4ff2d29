# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The unit of systemd for the manager: what it contains, and what systemd says to it."""

import os
import re
import shlex
import shutil
import subprocess

import pytest
from click.testing import CliRunner

from dicectl.__main__ import cli
from dicectl.errors import CommandError
from dicectl.manager.operating import systemd_unit
from dicectl.manager.registry import password_file

OPTIONS = {"registry": "/var/lib/dice/dice.db", "user": None, "port": 5684, "host": "manager.example", "metrics": 9684}


def text(**changes):
    """Return a unit."""
    return systemd_unit.text(**{**OPTIONS, **changes})


def test_the_service_writes_in_its_state_directory_alone():
    unit = text()
    for line in (
        "Type=notify",
        "Restart=on-failure",
        "WatchdogSec=30",
        "DynamicUser=yes",
        "StateDirectory=dice",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    ):
        assert line in unit.splitlines(), line
    assert re.search(r"^ExecStart=\S.* manager run /var/lib/dice/dice.db --host manager.example --port 5684 ", unit, re.MULTILINE)
    assert {"User=dice", "ReadWritePaths=/srv/dice"} <= set(text(user="dice", registry="/srv/dice/house.db").splitlines())
    assert "LoadCredential=dice-key:/etc/dice/registry.key" in text(key_file="/etc/dice/registry.key").splitlines()
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in text(port=684)


def test_a_database_needs_no_file_but_a_place_for_the_control_socket():
    unit = text(registry="postgresql://dice@db.example/dice")
    assert " manager run postgresql://dice@db.example/dice --control /var/lib/dice/dice.db --host " in unit
    assert "StateDirectory=dice" in unit.splitlines()


WRONG = [
    ({"registry": "house.db"}, "whole path"),
    ({"registry": "/srv/x.db"}, "--user"),
    ({"registry": "postgresql://dice:secret@db.example/dice"}, "everybody can read a unit"),
]


@pytest.mark.parametrize("changes, wrong", WRONG)
def test_a_registry_that_the_service_could_not_write_is_refused(changes, wrong):
    with pytest.raises(CommandError, match=wrong):
        text(**changes)


def test_characters_that_systemd_would_interpret_are_quoted():
    assert ' "/srv/a b/100%%.db" ' in text(user="dice", registry="/srv/a b/100%.db")


def test_the_command_prints_or_writes_it(tmp_path):
    path = tmp_path / "dice-manager.service"
    run = CliRunner().invoke
    printed = run(cli, ["manager", "unit", "--host", "manager.example"])
    assert printed.exit_code == 0 and printed.stdout == text()
    assert run(cli, ["manager", "unit", "--host", "x", "--to", str(path), "--dry-run"]).exit_code == 0 and not path.exists()
    written = run(cli, ["manager", "unit", "--host", "manager.example", "--to", str(path)])
    assert path.read_text() == text() and "systemctl enable --now dice-manager" in written.stdout
    assert "dicectl manager new /var/lib/dice/dice.db" in written.stdout
    assert run(cli, ["manager", "unit"]).exit_code == 2


def unit(*arguments, status=0):
    """Run `dicectl manager unit`; return what it prints."""
    done = CliRunner().invoke(cli, ["manager", "unit", "--host", "manager.example", *arguments])
    assert done.exit_code == status, done.output
    return done.stdout


def test_it_takes_the_options_of_run_and_checks_them():
    """They had to be edited in, and systemd was the first to say that one was wrong."""
    options = ("--report-every", "2m", "--alert-command", "/bin/echo 'a b' $X 50%", "--also", "b.example", "--also", "c.example:7")
    (line,) = (line for line in unit(*options, "--pace", "20").splitlines() if line.startswith("ExecStart="))
    argv = shlex.split(line.replace("$$", "$").replace("%%", "%"))
    for index in range(0, len(options), 2):
        name, value = options[index : index + 2]
        assert {"2m": "120s"}.get(value, value) in [argv[i + 1] for i, word in enumerate(argv) if word == name]
    assert argv[argv.index("--pace") + 1] == "20" and "--expel-pace" not in argv
    for wrong in (("--report-every", "1s"), ("--also", "a b"), ("--alert-command", "/no/such/program"), ("--pace", "0")):
        unit(*wrong, status=2)
    assert "--detach" not in CliRunner().invoke(cli, ["manager", "unit", "--help"]).stdout


def test_a_password_of_the_database_is_a_credential():
    written = unit("postgresql://dice@db.example/dice", "--pgpass", "/etc/dice/pgpass").splitlines()
    assert "LoadCredential=pgpass:/etc/dice/pgpass" in written and "Environment=PGPASSFILE=%d/pgpass" in written
    unit("postgresql://dice@db.example/dice", "--pgpass", "pgpass", status=2)


def test_libpq_takes_a_credential_that_an_access_control_list_lets_the_service_read(tmp_path, monkeypatch):
    path = tmp_path / "pgpass"
    path.write_text("*:*:*:dice:secret\n")
    path.chmod(0o440)  # as stat shows it
    monkeypatch.setenv("PGPASSFILE", str(path))
    password_file.prepare()
    assert os.environ["PGPASSFILE"] == str(path), "it is no credential"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for _ in range(2):
        password_file.prepare()
    given = os.environ["PGPASSFILE"]
    try:
        assert os.stat(given).st_mode & 0o777 == 0o600
        with open(given) as file:
            assert file.read() == "*:*:*:dice:secret\n"
    finally:
        os.close(int(given.rpartition("/")[2]))


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze: apt-get install systemd")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"user": "root", "registry": "/srv/a b.db"},
        {
            "registry": "postgresql://dice@db/dice",
            "pgpass": "/etc/dice/100% pgpass",
            "more": ["--alert-command", "/bin/say 'a %b'"],
        },
    ],
    ids=["dynamic", "user", "database"],
)
def test_systemd_accepts_it_and_finds_it_shielded(tmp_path, changes):
    path = tmp_path / "dice-manager.service"
    path.write_text(text(**changes))
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    argv = ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(path)]
    level = re.search(r"exposure level for .*: ([\d.]+)", subprocess.run(argv, capture_output=True, text=True).stdout)
    assert float(level[1]) < 2.5
