# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A board whose raw REPL is MicroPython's unix port: what a script leaves in RAM is there for the next call."""

import ast
import subprocess

from dicectl import resources
from dicectl.board.raw_repl import DeviceError
from dicectl.firmware import unix_port

_LOOP = """
import sys
scope = {}
for line in sys.stdin:
    try:
        exec(eval(line), scope)
        print("=")
    except Exception as error:
        print("!" + type(error).__name__ + ": " + str(error))
"""


class LiveBoard:
    """Stands for raw_repl.Device; `folder` is its file system. `said`: everything that it has printed."""

    port = "P"

    def __init__(self, folder, prelude=""):
        """`prelude` is executed whenever the board restarts."""
        self.folder = folder
        self.said = []
        self._prelude = prelude
        self._process = None

    def __enter__(self):
        self.restart()
        return self

    def __exit__(self, *_):
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()
            self._process.stdout.close()
        self._process = None

    def restart(self):
        self.__exit__()
        argv = [unix_port.find(), "-c", _LOOP]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen(argv, text=True, env=unix_port.environment(), cwd=self.folder, **pipes)
        self.run(self._prelude)

    def run(self, code):
        self._process.stdin.write(repr(code) + "\n")
        self._process.stdin.flush()
        lines = []
        for line in self._process.stdout:
            self.said.append(line)
            if line.startswith("!"):
                raise DeviceError(line[1:].strip())
            if line == "=\n":
                break
            lines.append(line)
        return lines

    def load(self, script):
        self.run((resources.ON_DEVICE / script).read_text())

    def call(self, function, *arguments):
        """Call a function of a script; absolute paths are in `folder`."""
        call = f"{function}({', '.join(map(repr, arguments))})".replace("'/", f"'{self.folder}/")
        return [ast.literal_eval(line) for line in self.run(call)]
