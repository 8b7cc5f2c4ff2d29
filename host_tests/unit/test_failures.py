# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A failure outside of dicectl, of a path, a full disk or a board, costs one line; a bug keeps its traceback."""

import errno
import io
import os
import shutil
import subprocess
import sys

import pytest

from dicectl import ending
from dicectl.__main__ import cli, main
from dicectl.errors import FAILED, USAGE, DeviceError, sentence
from dicectl.firmware import mip_index

COMMANDS = (
    "deploy {}",
    "deploy {}=lamp.py",
    "node {} --count 2",
    "node {}",
    "mip-index {}",
    "footprint --static --svg {}",
    "keyring new {}",
    "keyring show {}",
    "ca new {}",
    "ca list {}",
    "manager new {}",
    "manager key {}",
    "manager encrypt {} --key-file {}",
    "manager audit {} --export {}",
    "member run {}",
    "group send lamps on --as {}",
    "dtls-server 0 --key {} --peer-key 00",
)
BAD_PATHS = ("file.txt/under", "file.txt/under/it", "x" * 300, "x" * 300 + "/y", "file.txt/\x1b[2J", "file.txt/\udcff")
OSERRORS = (
    (PermissionError(errno.EACCES, "Permission denied", "proj/secret.py"), "proj/secret.py: Permission denied"),
    (FileNotFoundError(errno.ENOENT, "No such file", b"a\xff", None, "b"), "a\\udcff: No such file"),
    (OSError(errno.ENOSPC, "No space left", "from", None, "out/to"), "out/to: No space left"),
    (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
    (OSError("silent"), "silent"),
    (OSError(), "OSError"),
    (shutil.Error([("a", "out/a", "[Errno 28] No space: 'a' -> 'out/a'"), ("b", "out/b", "x")]), "out/a: " + os.strerror(28)),
    (shutil.Error([("a", "out/a", "it is a pipe")]), "out/a: it is a pipe"),
    (shutil.Error("a and a are the same file"), "a and a are the same file"),
    (DeviceError("MemoryError: \x1b"), "the board failed: MemoryError: \\x1b"),
)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Return a function that runs dicectl with arguments and returns its exit status and its only line on stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DICE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(ending, "install", lambda: None)
    monkeypatch.setattr(
        mip_index, "collect", lambda *_: ({"a/b": b"x"}, {"version": "1", "mpy": 6, "packages": {}, "without_native": {}})
    )
    (tmp_path / "file.txt").write_text("x")

    def outcome(*arguments):
        monkeypatch.setattr(sys, "argv", ["dicectl", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr().err
        assert said.startswith("dicectl: ") and said[-1] == "\n" and said[:-1].isprintable(), said
        return end.value.code, said.removeprefix("dicectl: ")[:-1]

    return outcome


@pytest.mark.parametrize("path", BAD_PATHS, ids=lambda path: ascii(path)[:20])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_bad_path_costs_one_line(run, command, path):
    """`deploy`, `node`, `mip-index` and `footprint` ended in a traceback of some."""
    status, _ = run(*(word.replace("{}", path) for word in command.split()))
    assert status in (FAILED, USAGE)


@pytest.mark.parametrize(("error", "said"), OSERRORS, ids=lambda value: ascii(value) if isinstance(value, str) else "")
def test_an_error_of_the_system_has_its_path_and_its_reason(run, monkeypatch, error, said):
    """A full disk gave a line for each file of a build, after the traceback."""

    def fail(**_):
        raise error

    monkeypatch.setattr(cli, "main", fail)
    assert run() == (FAILED, said)


def test_an_error_without_a_reason_is_named():
    assert sentence(TimeoutError()) == "TimeoutError"


@pytest.mark.parametrize("bug", [ValueError("x"), KeyError("x"), TypeError("x"), AssertionError(), RuntimeError("x")])
def test_a_bug_is_not_hidden(monkeypatch, bug):
    def fail(**_):
        raise bug

    monkeypatch.setattr(ending, "install", lambda: None)
    monkeypatch.setattr(cli, "main", fail)
    with pytest.raises(type(bug)):
        main()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is of Linux")
@pytest.mark.parametrize("arguments", ["completion bash", "--version", "ca --help", "footprint --static --json"])
def test_output_to_a_full_disk_is_a_failure(arguments):
    """Also of what Python would write when it ends: a traceback, and status 120."""
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "dicectl", *arguments.split()], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (FAILED, f"dicectl: {os.strerror(errno.ENOSPC)}\n")


@pytest.mark.parametrize("unbuffered", [True, False])
def test_output_that_nobody_reads_ends_the_command_quietly(unbuffered):
    code = f"from dicectl import __main__ as m; m.cli.main = lambda **_: print('more', flush={unbuffered}); m.main()"
    near, far = os.pipe()
    os.close(near)
    done = subprocess.run([sys.executable, "-c", code], stdout=far, stderr=subprocess.PIPE, text=True)
    os.close(far)
    assert (done.returncode, done.stderr) == (FAILED, "")


def test_a_failure_that_cannot_be_printed_has_its_status(monkeypatch):
    class Full(io.StringIO):
        def write(self, _text):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ending, "install", lambda: None)
    monkeypatch.setattr(sys, "argv", ["dicectl", "deploy", "nothing.py"])
    monkeypatch.setattr(sys, "stderr", Full())
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == USAGE


@pytest.mark.parametrize("raised", ["KeyboardInterrupt", "RuntimeError from KeyboardInterrupt()"])
@pytest.mark.parametrize("module", ["rich_click", "dice", "dicectl.text"])
def test_an_interrupt_while_dicectl_is_imported_is_one(module, raised):
    """Ctrl-C a moment after the start gave a traceback of the imports."""
    code = f"""if 1:
        import sys
        class Interrupts:
            def find_spec(self, name, *_):
                if name == {module!r}:
                    raise {raised}
        sys.meta_path.insert(0, Interrupts())
        from dicectl.__main__ import main
        main()
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "dicectl: interrupted\n")


def test_an_interrupt_outside_of_click_is_one(run, monkeypatch):
    def stop(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "main", stop)
    assert run() == (130, "interrupted")
