# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The base of all peers: DTLS programs on loopback, driven through standard input and output."""

import os
import re
import subprocess
import threading
import time
from pathlib import Path

from host_tests.patience import PATIENCE_S
from host_tests.ports import HOST, free_port  # noqa: F401 - for all peers

IDENTITY = "dice"
KEY = bytes(range(1, 17))
CCM_8, CCM = 0xC0A8, 0xC0A4  # with a pre-shared key
ECDHE_PSK_CCM_8, ECDHE_PSK_CCM = 0xD003, 0xD005
ECDSA_CCM_8, ECDSA_CCM = 0xC0AE, 0xC0AC  # with `Keys`
EXPORT_BYTES = 20
PROGRAMS = Path(__file__).parent / "programs"


class Missing(Exception):
    """A peer is not installed; the message names the missing part and the command that installs it."""


class Failed(AssertionError):
    """A peer did not behave as expected; the message contains its output."""


class Keys:
    """The keys of one side, for the suites ECDSA_CCM_8 and ECDSA_CCM; `own` and `trusted` are of host_tests.certificates.

    `is_raw`: raw public keys, or else certificates. `own`: an Issued; None for a client without. `trusted`: the other side's
    Issued, of which its raw key or its root is trusted; None for anybody. `name`: what a client demands of a server's certificate.
    `ask`: a server demands a client's, or only requests it ("request", OpenSSL). `folder`: a pathlib.Path for files.
    """

    def __init__(self, folder, is_raw, own, trusted, name=None, ask=True):
        self.is_raw, self.own, self.trusted, self.name, self.ask = is_raw, own, trusted, name, ask
        self.files = own.files(folder / "own") if own else None
        self.trusted_files = trusted.files(folder / "trusted") if trusted else None


def is_bound(port):
    """Return whether a UDP port is bound on this machine, on loopback or on any address."""
    wanted = f":{port:04X}"
    for name in ("/proc/net/udp", "/proc/net/udp6"):
        if os.path.exists(name) and any(line.split()[1].endswith(wanted) for line in Path(name).read_text().splitlines()[1:]):
            return True
    return not os.path.exists("/proc/net/udp")


class PeerProcess:
    """A running program, used in a `with`; it is killed at the end of that at the latest.

    `says` is part of the first application data that a client sends unprompted; None for servers.
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
        """Answer each question, for programs that print messages and send typed lines. Return the incomplete last line."""
        *lines, rest = text.split(b"\n")
        for line in lines:
            if line.startswith((b"ask ", b"GET ")):
                self.write(b"echo " + line[4:] + b"\n")
        return rest

    def output(self):
        """Return the whole output of the program so far."""
        with self._changed:
            return self._output

    def write(self, data):
        """Write bytes to the program's standard input; some programs send them."""
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise Failed(self.describe("has ended"))

    def read_until(self, wanted, timeout=PATIENCE_S):
        """Wait until the program prints `wanted`; return its output since the last call, up to and including `wanted`."""
        end = time.monotonic() + timeout
        with self._changed:
            while (found := self._output.find(wanted, self._seen)) < 0:
                left = end - time.monotonic()
                if left <= 0 or not (self._reader.is_alive() or self._process.poll() is None):
                    raise Failed(self.describe(f"did not print {wanted!r}"))
                self._changed.wait(min(left, 0.2))
            start, self._seen = self._seen, found + len(wanted)
            return self._output[start : self._seen]

    def wait(self, timeout=PATIENCE_S):
        """Wait until the program ends; return its exit status."""
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failed(self.describe("did not end"))
        self._reader.join(timeout)
        return status

    def close(self):
        """Let the program close its session: all clients send close_notify."""
        self.peer.end_session(self)

    def has_ended(self):
        """Return whether the program has ended."""
        return self._process.poll() is not None

    def end_input(self):
        """Close the program's standard input."""
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass

    def terminate(self):
        """Send the program SIGTERM."""
        self._process.terminate()

    def kill(self):
        """Kill the program."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(PATIENCE_S)
        self.end_input()
        self._reader.join(PATIENCE_S)
        self._process.stdout.close()

    def describe(self, what):
        """Return an error message about this program, with its command and output."""
        return f"{self.peer.name} {what}\n$ {' '.join(self.command)}\n{self.output().decode(errors='replace')[-4000:]}"


class Peer:
    """Another implementation of DTLS; subclasses override what differs.

    `features`: "client", "server", "ccm" (C0A4), "cid" (`cid=b"..."`, its own connection id), "id" and "ticket" (it resumes as
    client, and lets clients resume as server), "mfl" (`mfl=512`), "limit" (`limit=600`, its record_size_limit), "mtu" (`mtu=`),
    "write" (`write` sends), "hello" (`name=` for SNI and `alpn=`, a list, both text), "export" (`export=LABEL` as client; see
    `exported`), "export as server", "ECDHE_PSK" (as suite).

    With public keys: "raw public keys" and "certificates" (`keys=Keys(...)`), "chains" (it sends certificates of authorities),
    "ecdsa ccm" (ECDSA_CCM too), "always raw keys" (a client has one, and a server serves no other client), "always asks" (a server
    requests keys, and does without).
    """

    name = title = ""
    features = frozenset()
    closed = b""  # the text that a server prints on a client's close_notify
    material = b""  # the text before the keying material in hex, with "export"
    chosen = b"no ALPN"  # the text of a client before the negotiated protocol, with "hello"
    alert = rb"alert (\d+)"  # the text of a fatal alert that it received

    def check(self):
        """Raise Missing if the peer is not installed."""

    def version(self):
        """Return the version as text."""
        raise NotImplementedError

    def serve(self, port, suite=CCM_8, identity=IDENTITY, key=KEY, **options):
        """Start a server on loopback; return it when it is ready to receive."""
        running = self._serve(port, suite, identity, key, **options)
        end = time.monotonic() + PATIENCE_S
        try:
            while not is_bound(port):
                if time.monotonic() > end or running.has_ended():
                    raise Failed(running.describe("does not serve"))
                time.sleep(0.01)
        except BaseException:
            running.kill()
            raise
        return running

    def connect(self, port, suite=CCM_8, identity=IDENTITY, key=KEY, **options):
        """Start a client of a server on loopback; it sends data that contains its `says`, and prints the answers."""
        return self._connect(port, suite, identity, key, **options)

    def end_session(self, running):
        """Close the session of a client; see PeerProcess.close."""
        running.end_input()

    def exported(self, running):
        """Return the keying material that this peer's program printed."""
        return bytes.fromhex(re.search(re.escape(self.material) + rb"(\w+)", running.output())[1].decode())

    def heard(self, running):
        """Return the numbers of the fatal alerts that this peer's program has received."""
        return [int(number) for number in re.findall(self.alert, running.output())]

    def ask(self, text):
        """Return (application data for this peer's server, a part of its answer)."""
        return b"ask " + text + b"\n", b"echo " + text

    def answer(self, request, text):
        """Return the application data that answers the request of this peer's client and makes it print `text`."""
        return text + b"\n"


def tool(name, package):
    """Return the name of a program. Raise Missing, which names its Debian package, if it is not installed."""
    import shutil

    found = shutil.which(name)
    if not found:
        raise Missing(f"no {name} here; install it with: apt-get install --no-install-recommends {package}")
    return found


def first_line(*command):
    """Return the first line that a command prints."""
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return ((done.stdout or done.stderr).splitlines() or [""])[0]
