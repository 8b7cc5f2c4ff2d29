# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The unit of systemd for the manager: what it contains, and what systemd says to it."""

import re
import shutil
import subprocess

import pytest
from click.testing import CliRunner

from dicectl.__main__ import cli
from dicectl.errors import CommandError
from dicectl.manager.operating import systemd_unit

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


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze: apt-get install systemd")
@pytest.mark.parametrize("changes", [{}, {"user": "root", "registry": "/srv/a b.db"}], ids=["dynamic", "user"])
def test_systemd_accepts_it_and_finds_it_shielded(tmp_path, changes):
    path = tmp_path / "dice-manager.service"
    path.write_text(text(**changes))
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    argv = ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(path)]
    level = re.search(r"exposure level for .*: ([\d.]+)", subprocess.run(argv, capture_output=True, text=True).stdout)
    assert float(level[1]) < 2.5
