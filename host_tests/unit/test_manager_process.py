# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl manager run` as a process: what systemd is notified of, --detach, `status` and `stop`, and its output by format."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest

from dicectl import sd_notify
from dicectl.manager import control
from dicectl.manager.operating import dashboard, log_format
from dicectl.manager.operating.dashboard import Dashboard
from host_tests.patience import PATIENCE_S, until
from host_tests.ports import free_port

DICECTL = [sys.executable, "-m", "dicectl"]
ENTRY = {"number": 1, "at": 0, "event": "removed", "group": "lamps", "device": "lamp[red]"}


class SystemManager:
    """The end of systemd: a socket that receives notifications."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(PATIENCE_S)

    def until(self, state):
        """Return all states up to the first `state`."""
        seen = []
        while state not in seen:
            seen += self.socket.recv(65_536).decode().splitlines()
        return seen


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_states_arrive(tmp_path, monkeypatch, abstract):
    if abstract and not sys.platform.startswith("linux"):
        pytest.skip("abstract sockets need Linux")
    name = f"@dice-{os.getpid()}" if abstract else str(tmp_path / "notify")
    system = SystemManager("\0" + name[1:] if abstract else name)
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    assert sd_notify.notify(sd_notify.READY, sd_notify.status("two\nlines"))
    assert system.until("READY=1") == ["READY=1", "STATUS=two lines"]
    system.socket.close()
    if not abstract:
        (tmp_path / "notify").unlink()
    assert sd_notify.notify(sd_notify.ALIVE) is False, "nobody receives it, and that is no error"
    monkeypatch.delenv("NOTIFY_SOCKET")
    assert sd_notify.notify(sd_notify.ALIVE) is False


@pytest.mark.parametrize(
    "variables, period_s",
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "ours"}, 15),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
    ids=str,
)
def test_the_watchdog_is_fed_at_half_its_time(monkeypatch, variables, period_s):
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, str(os.getpid()) if value == "ours" else value)
    assert sd_notify.watchdog_s() == period_s


def test_a_service_is_ready_lives_and_ends_with_0(tmp_path):
    """Type=notify and WatchdogSec= need that; an end by SIGTERM is no failure (D17)."""
    system = SystemManager(str(tmp_path / "notify"))
    argv = [*DICECTL, "manager", "run", "house.db", "--new", "--port", str(free_port()), "--host", "127.0.0.1"]
    environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
    process = subprocess.Popen(argv, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        system.until("READY=1")
        seen = system.until("WATCHDOG=1") + system.until("WATCHDOG=1")
        assert "STATUS=0 groups, 0 devices, 0 connected" in seen
        process.send_signal(signal.SIGTERM)
        system.until("STOPPING=1")
        assert (process.wait(PATIENCE_S), "Traceback" in process.stdout.read()) == (0, False)
    finally:
        process.kill()
        process.wait()


def dicectl(folder, *arguments):
    """Run it; return (exit status, stdout, stderr)."""
    done = subprocess.run([*DICECTL, *arguments], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_a_detached_manager_serves_when_the_command_returns(tmp_path):
    """D15: the next command finds it. Its output goes to a private file. `stop` returns when the process has ended."""
    options = ("--port", str(free_port()), "--host", "127.0.0.1", "--detach", "--new")
    assert dicectl(tmp_path, "manager", "status", "house.db")[0] == 1
    code, said, _ = dicectl(tmp_path, "manager", "run", "house.db", *options)
    assert code == 0 and "serving devices on UDP port" in said and "its log is" in said and "dicectl manager stop house.db" in said
    try:
        control.call(tmp_path / "house.db", "new", group="lamps")
        code, said, _ = dicectl(tmp_path, "manager", "status", "house.db", "--json")
        found = json.loads(said)
        assert (code, found["role"], found["groups"], found["problems"]) == (0, "active", 1, [])
        assert (tmp_path / "house.db.log").stat().st_mode & 0o777 == 0o600
        code, said, error = dicectl(tmp_path, "manager", "run", "house.db", *options)
        assert (code, said) == (1, "") and "another manager runs on house.db" in error and len(error.splitlines()) == 1
        code, said, error = dicectl(tmp_path, "manager", "run", "other.db", *options)
        assert (code, said) == (1, "") and "cannot serve on UDP port" in error, "D7: it took the datagrams of the first"
    finally:
        code, said, _ = dicectl(tmp_path, "manager", "stop", "house.db")
    assert (code, said) == (0, f"process {found['pid']} has ended\n")
    until(lambda: not os.path.exists(f"/proc/{found['pid']}"), "the end of the process")
    assert dicectl(tmp_path, "manager", "stop", "house.db")[0] == 3
    code, said, _ = dicectl(tmp_path, "manager", "status", "house.db")
    assert code == 1 and "no manager runs on house.db" in said


class FakeService:
    """A service whose audit log grows."""

    managers = ()

    def __init__(self):
        self.log = []
        self.registry = SimpleNamespace(audit=lambda after=0: self.log[after:], last_entry=0)


@pytest.mark.parametrize(
    "form, wanted",
    [
        ("plain", ["T  removed      lamps lamp[red]", "warning: x failed (OSError: disk); the manager goes on"]),
        ("journal", ["<6>removed      lamps lamp[red]", "<4>warning: x failed (OSError: disk); the manager goes on"]),
        ("json", [{"level": "info", **ENTRY}, {"level": "warning", "event": "trouble", "what": "x", "error": "OSError: disk"}]),
    ],
)
def test_events_and_warnings_have_their_level(capsys, monkeypatch, form, wanted):
    monkeypatch.setattr(dashboard, "line", lambda entry: f"T  {dashboard.event(entry)}")
    monkeypatch.setattr(dashboard.time, "time", lambda: 5)
    service = FakeService()
    with Dashboard(service, form) as shown:
        service.log.append(ENTRY)
        shown.refresh()
        shown.warn({"x": OSError("disk")})
    lines = capsys.readouterr().out.splitlines()
    if form == "json":
        lines = [json.loads(line) for line in lines]
        assert lines[1].pop("at") == 5
    assert lines == wanted


def test_output_to_the_journal_has_its_priorities(monkeypatch, tmp_path):
    with open(tmp_path / "x", "w") as file:
        about = os.fstat(file.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{about.st_dev}:{about.st_ino}")
        assert log_format.chosen(None, file) == "journal" and log_format.chosen("json", file) == "json"
        monkeypatch.setenv("JOURNAL_STREAM", "1:2")
        assert log_format.chosen(None, file) == "plain"


def _shown_on_a_terminal(foreground):
    """Return what a dashboard writes to a terminal that it has in the foreground, or not."""
    child, end = pty.fork()  # the child is the foreground of a new terminal
    if not child:
        if not foreground:
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            other = os.fork()
            if not other:
                os.setpgid(0, 0)  # as the shell does for a job with &
                _show()
            os.waitpid(other, 0)
            os._exit(0)
        _show()
    text = b""
    try:
        while more := os.read(end, 4096):
            text += more
    except OSError:  # the terminal is closed
        pass
    os.close(end)
    os.waitpid(child, 0)
    return text.decode()


def _show():
    os.environ.update(TERM="xterm", COLUMNS="80")
    sys.stdout = os.fdopen(1, "w", closefd=False)  # not that of pytest
    service = FakeService()
    with Dashboard(service) as shown:
        service.log.append(ENTRY)
        shown.refresh()
        sys.stdout.flush()
    os._exit(0)


@pytest.mark.parametrize("foreground", [True, False])
def test_the_table_is_drawn_in_the_foreground_only(foreground):
    """D15: a manager that was started with & does not draw over the prompt."""
    text = _shown_on_a_terminal(foreground)
    assert "lamps lamp[red]" in text
    assert ("has epoch" in text, "\x1b" in text) == (foreground, foreground)


LOGS = """
import sys
from dicectl.manager.operating import detach
detach.LOG_MAX_BYTES = 1000
log = detach.OwnLog()
for number in range(200):
    print("line", number, flush=True)
    print("error", number, file=sys.stderr, flush=True)
    log.keep_small()
"""


def test_the_log_of_a_detached_process_is_bounded(tmp_path):
    """It grew for as long as the manager ran. The newest lines are in it and in the former one."""
    path = tmp_path / "house.db.log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    environment = {**os.environ, "DICE_LOG": str(path)}
    subprocess.run([sys.executable, "-c", LOGS], env=environment, stdout=descriptor, stderr=descriptor, check=True)
    os.close(descriptor)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["house.db.log", "house.db.log.old"]
    said = (tmp_path / "house.db.log.old").read_text() + path.read_text()
    assert said.endswith("line 199\nerror 199\n") and 1000 < len(said) < 2 * 1100
    assert path.stat().st_mode & 0o777 == 0o600
    os.remove(path)
    code = LOGS.replace("range(200)", "range(1)").replace("log =", f"import os; os.rename({str(path)!r}, 'away'); log =")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, stdout=descriptor, stderr=descriptor)
    os.close(descriptor)
    assert done.returncode == 0 and path.read_text() == "" and "error 0" in (tmp_path / "away").read_text(), "logrotate moved it"
