# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""docs/tutorial.md is correct: its files are saved, its commands run unchanged, and they print the output on the page.

A block "console NAME" belongs to the terminal NAME. A line that starts with "$ " is typed, "^C" interrupts, all others are printed;
"..." stands for any lines. "Save this as `FILE`:" precedes the text of a file. Part 2 of the page and the end of part 3 need
boards, and are not run.
"""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

from dicectl import resources
from dicectl.firmware import unix_port
from host_tests.patience import PATIENCE_S, until

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
_END = "the end of this command"
_STEP = re.compile(r"(?:Save\s+this\s+as\s+`([\w./]+)`:\s+)?^```(\w+)(?: (\w+))?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def steps(text):
    """Yield ("file", path, contents) and (terminal, lines) in the order of the page."""
    for name, language, terminal, body in _STEP.findall(text):
        if name:
            yield "file", name, body
        elif language == "console":
            yield terminal, body.splitlines()


class Terminal:
    """A shell with one window; read() returns its output."""

    def __init__(self, home):
        path = f"{Path(sys.executable).parent}:{Path(unix_port.find()).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "HOME": str(home), "PATH": path, "PYTHONUNBUFFERED": "1"}
        environment["MICROPYPATH"] = f"{resources.LIB}:.frozen"  # as the page's first block sets it
        self._shell = subprocess.Popen(
            ["bash"],
            cwd=home,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self._lines = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._shell.stdout:
            self._lines.put(line.rstrip("\n"))

    def type(self, command):
        """Type a command."""
        self._shell.stdin.write(command + "\n")
        self._shell.stdin.flush()

    def read(self):
        """Return the next line."""
        try:
            return self._lines.get(timeout=PATIENCE_S)
        except queue.Empty:
            return "(nothing)"

    def interrupt(self):
        """Press Ctrl-C: interrupt the foreground program, which is the shell's only child."""
        children = Path(f"/proc/{self._shell.pid}/task/{self._shell.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGINT)

    def rest(self):
        """Return the lines until the shell waits for the next command."""
        self.type(f"echo {_END}")
        return list(iter(self.read, _END))

    def close(self):
        """End the shell and its program; return the remaining output."""
        self.interrupt()
        self._shell.stdin.close()
        self._reader.join(PATIENCE_S)
        self._shell.wait()
        return list(self._lines.queue)


def _follow(text, home):
    """Follow the page; return ([(terminal, line on the page, printed line)], lines that are not on the page)."""
    terminals = {}
    compared = []
    try:
        for step in steps(text):
            if step[0] == "file":
                path = home / "tutorial" / step[1]
                until(path.parent.exists)  # a terminal creates it
                path.write_text(step[2])
                continue
            name, lines = step
            if name not in terminals:
                terminals[name] = Terminal(home)
            terminal = terminals[name]
            for line in lines:
                if line.startswith("$ "):
                    terminal.type(line[2:])
                elif line == "^C":
                    terminal.interrupt()
                elif line == "...":
                    terminal.rest()
                else:
                    compared.append((name, line, terminal.read()))
                    if compared[-1][1] != compared[-1][2]:
                        return compared, {}
        terminals["desk"].rest()  # the end of its last command
    finally:
        left = {name: terminal.close() for name, terminal in terminals.items()}
    return compared, left


def test_the_tutorial_works_as_written(in_network, tmp_path):
    text = PAGE.read_text().split("\n## Part 2")[0]
    compared, left = in_network(_follow, text, tmp_path)
    for terminal, expected, printed in compared:
        assert printed == expected, f"in the terminal `{terminal}`"
    assert len(compared) > 20
    traceback = ("Traceback", "  ")
    rest = {name: [line for line in lines if not line.startswith(traceback)] for name, lines in left.items()}
    assert rest == {"desk": [], "attacker": [], "lamp": ["KeyboardInterrupt: "]}, "printed lines that are not on the page"


def test_the_part_on_public_keys_works_as_written(in_network, tmp_path):
    text = PAGE.read_text().split("\n## Part 3")[1].split("\n### On boards")[0]
    compared, left = in_network(_follow, text, tmp_path)
    for terminal, expected, printed in compared:
        assert printed == expected, f"in the terminal `{terminal}`"
    assert len(compared) > 10
    rest = {name: [line for line in lines if not line.startswith(("Traceback", "  "))] for name, lines in left.items()}
    assert rest == {"desk": [], "hub": ["KeyboardInterrupt: "]}, "printed lines that are not on the page"
    secret = (tmp_path / "tutorial" / "sensor" / "own.key").read_bytes()
    assert len(secret) == 32 and secret != (tmp_path / "tutorial" / "hub" / "own.key").read_bytes()


def test_a_wrong_page_is_detected(in_network, tmp_path):
    text = "Save this as\n`a.txt`:\n\n```text\nb\n```\n\n```console desk\n$ echo 1; echo 2\n1\n...\n$ echo 3\n4\n```\n"
    (tmp_path / "tutorial").mkdir()
    assert next(iter(steps(text))) == ("file", "a.txt", "b\n")
    assert in_network(_follow, text, tmp_path) == ([("desk", "1", "1"), ("desk", "4", "3")], {})
