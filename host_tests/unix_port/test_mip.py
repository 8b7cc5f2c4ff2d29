# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""MicroPython's own mip installs dice from package.json, and what it installed runs."""

import functools
import http.server
import subprocess
import threading

import pytest

from dicectl import resources
from dicectl.firmware import profiles, unix_port


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Print nothing."""


@pytest.fixture
def clone():
    """Return the URL of this repository on an HTTP server on loopback, because mip reads no local paths."""
    handler = functools.partial(QuietHandler, directory=resources.ROOT)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def run(code, *arguments, path=".frozen"):
    command = [unix_port.find(), "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env={"MICROPYPATH": str(path)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_mip_installs_a_working_library(clone, tmp_path):
    run(f"import mip; mip.install('{clone}/package.json', target='{tmp_path}')")
    installed = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert installed == set(profiles.files("full", unix=True))
    modules = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in sorted(installed)]
    code = "\n".join(f"import {name}" for name in modules) + "\nimport dice.crypto\nprint(dice.__file__, dice.crypto.name())"
    assert run(code, path=f"{tmp_path}:.frozen") == f"{tmp_path}/dice/__init__.py device (AES in software)\n"
