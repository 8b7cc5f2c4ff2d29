# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl provision new` that is interrupted, or gets no answer: no device without a configuration remains, or it says so."""

import signal
import threading

import pytest

from dicectl import ending, line_socket
from dicectl.manager import control
from dicectl.manager.device_requests import DeviceRequests
from dicectl.member.node_file import FolderTarget
from host_tests.unit.test_provision_command import manager  # noqa: F401

MANY = ("provision", "new", "lamp", "--count", "3", "--group", "lamps", "--to", "out")
ONE = ("provision", "new", "lamp-1", "--group", "lamps", "--to", "out")


@pytest.fixture(name="run")
def _run(manager):  # noqa: F811
    """Return the function of `manager`, with a group and the signals of a command."""
    before = {number: signal.signal(number, ending._end) for number in (signal.SIGINT, signal.SIGTERM)}
    manager("group", "new", "lamps")
    yield manager
    for number, handler in before.items():
        signal.signal(number, handler)


def signalled(monkeypatch, do, *numbers):
    """Let signals arrive while the manager does a request, and the command waits for its answer."""
    real = getattr(DeviceRequests, do)

    def during(self, *arguments, **request):
        for number in numbers:
            signal.pthread_kill(threading.main_thread().ident, number)
        return real(self, *arguments, **request)

    monkeypatch.setattr(DeviceRequests, do, during)


def left(run, folder):
    """Return the devices of the registry, and the configurations that were written."""
    return [device["name"] for device in run("provision", "list", "--json")], list(folder.glob("out/**/node.json"))


@pytest.mark.parametrize("arguments", [MANY, ONE])
def test_an_interrupt_while_devices_are_created_deletes_them(run, tmp_path, monkeypatch, arguments):
    """The command ended at once, the manager went on: the next attempt said that there is a device lamp-1 already."""
    signalled(monkeypatch, "do_provision_all", signal.SIGINT)
    run(*arguments, status=1)
    assert left(run, tmp_path) == ([], [])
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DICE_MANAGER", str(tmp_path / "house.db"))
    run(*arguments)
    names, files = left(run, tmp_path)
    assert len(names) == len(files) == (3 if arguments is MANY else 1)


def test_a_second_interrupt_is_not_held_up(run, monkeypatch):
    """Then only the manager knows: the command says what to do."""
    signalled(monkeypatch, "do_provision_all", signal.SIGINT, signal.SIGTERM)
    assert "dicectl provision wipe lamp-1 ... lamp-3" in run(*MANY, status=1)


def test_an_interrupt_while_files_are_written_removes_them(run, tmp_path, monkeypatch):
    """Also the last one, and although the next interrupt comes while the devices are deleted."""
    write = FolderTarget.write

    def interrupted(self, settings):
        write(self, settings)
        if settings["name"] == "lamp-2":
            raise KeyboardInterrupt

    monkeypatch.setattr(FolderTarget, "write", interrupted)
    signalled(monkeypatch, "do_wipe_all", signal.SIGINT)
    run(*MANY, status=1)
    assert left(run, tmp_path) == ([], [])


def test_devices_that_were_there_stay(run, tmp_path, monkeypatch):
    run("provision", "new", "lamp-2", "--group", "lamps", "--to", "other")
    signalled(monkeypatch, "do_provision_all", signal.SIGINT)
    assert "there is a device lamp-2 already" in run(*MANY, status=2)
    assert left(run, tmp_path) == (["lamp-2"], [])


@pytest.mark.parametrize("lost", ["provision_all", "wipe_all"])
def test_without_an_answer_the_user_is_told(run, monkeypatch, lost):
    real = control.call

    def call(registry, do, **request):
        answer = real(registry, do, **request)
        if do == lost:
            raise line_socket.NoAnswer("the manager does not answer: timed out")
        return answer

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(control, "call", call)
    monkeypatch.setattr(FolderTarget, "write", full)
    said = run(*MANY, status=1)
    assert "the manager does not answer: timed out; " in said and "dicectl provision wipe lamp-1 ... lamp-3" in said
