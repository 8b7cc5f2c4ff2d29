# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Packages of PyPI, each with a program of ours in a virtual environment in the cache: python-mbedtls here, and `tinydtls`.

The requirements are the dependency group "interop" of pyproject.toml.
"""

import functools
import subprocess
import sysconfig
from pathlib import Path

from dicectl.errors import CommandError
from host_tests import environments
from host_tests.interop.peers.base import PROGRAMS, Missing, Peer, PeerProcess, tool

_SUITES = {0xC0A8: "TLS-PSK-WITH-AES-128-CCM-8", 0xC0A4: "TLS-PSK-WITH-AES-128-CCM"}


@functools.cache
def environment(package, tools=()):
    """Return a Python with a package of the group "interop"; install it if needed. Raises Missing."""

    def check():
        for name, provider in dict(tools).items():
            tool(name, provider)
        if tools and not Path(sysconfig.get_path("include"), "Python.h").exists():
            raise Missing("no Python.h here; install it with: apt-get install --no-install-recommends python3-dev")

    try:
        return environments.python("interop", package, check)
    except CommandError as failure:
        raise Missing(failure.format_message())


class PyPIPeer(Peer):
    """Programs that answer with "echo" and the message; no options."""

    package = program = ""
    features = frozenset(("client", "server"))
    tools = ()

    def _python(self):
        return environment(self.package, self.tools)

    def check(self):
        self._python()

    def version(self):
        code = f"import importlib.metadata; print(importlib.metadata.version({self.package!r}))"
        done = subprocess.run([self._python(), "-c", code], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def _run(self, role, port, suite, identity, key, says=None):
        words = [self._python(), PROGRAMS / self.program, role, port, identity, _SUITES[suite]]
        return PeerProcess(self, words, says=says, environment={"DICE_PSK": key.hex()})

    def _serve(self, port, suite, identity, key):
        return self._run("server", port, suite, identity, key)

    def _connect(self, port, suite, identity, key):
        return self._run("client", port, suite, identity, key, b"ask " + self.name.encode())


class PythonMbedTLS(PyPIPeer):
    """Mbed TLS 2.28 through its Python buffers."""

    name = title = "python-mbedtls"
    package, program = "python-mbedtls", "python_mbedtls.py"
    features = PyPIPeer.features | {"ccm"}
    closed = b"closed"
