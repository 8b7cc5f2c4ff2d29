# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What all peers share: programs that talk DTLS on loopback, driven through standard input and output."""

import os
import re
import socket
import subprocess
import threading
import time
from pathlib import Path

from host_tests.patience import PATIENCE_S

HOST = "127.0.0.1"
IDENTITY = "dice"
KEY = bytes(range(1, 17))
CCM_8, CCM = 0xC0A8, 0xC0A4
EXPORT_BYTES = 20
PROGRAMS = Path(__file__).parent / "programs"


class Missing(Exception):
    """A peer is not there; says what is missing and how to get it."""


class Failed(AssertionError):
    """A peer did not do what was expected of it; says what it printed."""


def free_port():
    """Return a UDP port of loopback that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def is_bound(port):
    """Tell whether a UDP port is bound on this machine, loopback or any address."""
    wanted = f":{port:04X}"
    for name in ("/proc/net/udp", "/proc/net/udp6"):
        if os.path.exists(name) and any(line.split()[1].endswith(wanted) for line in Path(name).read_text().splitlines()[1:]):
            return True
    return not os.path.exists("/proc/net/udp")


class Running:
    """A program that runs, in a `with`; it ends there at the latest.

    `says` is in the first application data that a client sends of its own accord, None for servers.
    """

    def __init__(self, peer, command, says=None, answer_lines=False, environment=None, **popen):
        self.peer, self.says = peer, says
        self.command = [str(word) for word in command]
        self._answer_lines = answer_lines
        self._output, self._seen = b"", 0
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            **popen,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def _read(self):
        line = b""
        while chunk := os.read(self._process.stdout.fileno(), 4096):
            with self._changed:
                self._output += chunk
                self._changed.notify_all()
            line = self._answer(line + chunk) if self._answer_lines else b""
        with self._changed:
            self._changed.notify_all()

    def _answer(self, text):
        """Answer each line that asks; for programs that show what they receive and send what is typed. Return the begun line."""
        *lines, rest = text.split(b"\n")
        for line in lines:
            if line.startswith((b"ask ", b"GET ")):
                self.write(b"echo " + line[4:] + b"\n")
        return rest

    def output(self):
        """Return all that the program has printed so far."""
        with self._changed:
            return self._output

    def write(self, data):
        """Type bytes into the program, which sends them where it is one that does."""
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise Failed(self.tell("has ended"))

    def read_until(self, wanted, timeout=PATIENCE_S):
        """Wait until the program prints `wanted`; return what it printed since the last call, up to and including that."""
        end = time.monotonic() + timeout
        with self._changed:
            while (found := self._output.find(wanted, self._seen)) < 0:
                left = end - time.monotonic()
                if left <= 0 or not (self._reader.is_alive() or self._process.poll() is None):
                    raise Failed(self.tell(f"did not print {wanted!r}"))
                self._changed.wait(min(left, 0.2))
            start, self._seen = self._seen, found + len(wanted)
            return self._output[start : self._seen]

    def wait(self, timeout=PATIENCE_S):
        """Wait for the end of the program; return its exit status."""
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failed(self.tell("did not end"))
        self._reader.join(timeout)
        return status

    def close(self):
        """Let the program end its session in order: the clients of all peers do so with a close_notify."""
        self.peer.hang_up(self)

    def end_input(self):
        """End the program's standard input."""
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass

    def terminate(self):
        """Ask the program to end, by signal."""
        self._process.terminate()

    def kill(self):
        """End the program at once."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(PATIENCE_S)
        self.end_input()
        self._reader.join(PATIENCE_S)
        self._process.stdout.close()

    def tell(self, what):
        """Return a sentence about this program with its command and output, for a failure."""
        return f"{self.peer.name} {what}\n$ {' '.join(self.command)}\n{self.output().decode(errors='replace')[-4000:]}"


class Peer:
    """Another implementation of DTLS; each kind overrides what it does differently.

    `features`: "client", "server", "ccm" (C0A4), "cid" (`cid=b"..."`, its own connection id), "id" and "ticket" (it resumes as
    client, and lets clients resume as server), "mfl" (`mfl=512`), "limit" (`limit=600`, its record_size_limit), "mtu" (`mtu=`),
    "write" (`write` sends), "hello" (`name=` for SNI and `alpn=`, a list, both text), "export" (`export=LABEL` as client: what
    `exported` returns), "export as server".
    """

    name = title = ""
    features = frozenset()
    closed = b""  # what a server prints when a client's close_notify came
    material = b""  # what stands before the keying material that it prints in hex, with "export"
    chosen = b"no ALPN"  # what a client prints before the protocol that was agreed on, with "hello"

    def check(self):
        """Raise Missing where the peer is not there."""

    def version(self):
        """Return the version as text."""
        raise NotImplementedError

    def serve(self, port, suite=CCM_8, identity=IDENTITY, key=KEY, **options):
        """Return a running server on loopback, ready to receive."""
        running = self._serve(port, suite, identity, key, **options)
        end = time.monotonic() + PATIENCE_S
        try:
            while not is_bound(port):
                if time.monotonic() > end or running._process.poll() is not None:
                    raise Failed(running.tell("does not serve"))
                time.sleep(0.01)
        except BaseException:
            running.kill()
            raise
        return running

    def connect(self, port, suite=CCM_8, identity=IDENTITY, key=KEY, **options):
        """Return a running client of a server on loopback; it sends something with its `says` in it, and prints what comes."""
        return self._connect(port, suite, identity, key, **options)

    def hang_up(self, running):
        """See Running.close."""
        running.end_input()

    def exported(self, running):
        """Return the keying material that a program of this peer has printed."""
        return bytes.fromhex(re.search(re.escape(self.material) + rb"(\w+)", running.output())[1].decode())

    def ask(self, text):
        """Return (application data to send to this peer's server, what is in the application data that it answers)."""
        return b"ask " + text + b"\n", b"echo " + text

    def answer(self, request, text):
        """Return the application data that answers what this peer's client sent, so that the client prints `text`."""
        return text + b"\n"


def tool(name, package):
    """Return the name of a program; raises Missing, which names its Debian package."""
    import shutil

    found = shutil.which(name)
    if not found:
        raise Missing(f"no {name} here; install it with: apt-get install --no-install-recommends {package}")
    return found


def first_line(*command):
    """Return the first line that a command prints."""
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return ((done.stdout or done.stderr).splitlines() or [""])[0]
