# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Bouncy Castle with our program programs/BouncyCastle.java; its jars are unpacked from Debian's packages into the cache.

Needs a JDK, 17 or later. Version 1.80, in Debian 13, supports connection ids.
"""

import functools
import hashlib

from dicectl.errors import CommandError
from dicectl.firmware import debian
from dicectl.subprocess_log import Log, cache, file_lock, require_commands
from host_tests.interop.peers.base import PROGRAMS, Failed, Missing, Peer, PeerProcess

_PACKAGES = ["libbctls-java", "libbcprov-java", "libbcutil-java"]
_TOOLS = {"javac": "default-jdk-headless", "java": "default-jdk-headless"}
_QUICK = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m"]  # for a quick start


@functools.cache
def class_path():
    """Return the class path with our program; fetch and compile it if needed. Raises Missing."""
    source = PROGRAMS / "BouncyCastle.java"
    folder = cache() / "peers" / "bouncycastle"
    classes = folder / f"classes-{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}"
    try:
        require_commands(_TOOLS)
        with file_lock(folder, print):
            if not (folder / "done").exists():
                _fetch(folder)
            path = ":".join(str(jar) for jar in _jars(folder))
            if not (classes / "BouncyCastle.class").exists():
                log = Log(folder / "compile.log")
                log.run("compiling BouncyCastle.java", ["javac", "-cp", path, "-d", classes, source])
    except CommandError as failure:
        raise Missing(failure.format_message())
    return f"{classes}:{path}"


def _jars(folder):
    return sorted(path for path in (folder / "unpacked" / "usr" / "share" / "java").glob("*.jar") if path.is_symlink())


def _fetch(folder):
    require_commands({"apt-get": "apt", "dpkg-deb": "dpkg"})
    log = Log(folder / "fetch.log")
    for name in debian.fetch(folder, debian.SUITE, [], _PACKAGES, log, print):
        log.run(f"unpacking {name}", ["dpkg-deb", "-x", folder / "packages" / name, folder / "unpacked"])
    (folder / "done").touch()


class BouncyCastle(Peer):
    """Options: cid; resume="id" (the client connects twice). `move` gives a client another port during its session."""

    name, title = "BouncyCastle", "Bouncy Castle"
    features = frozenset(("client", "server", "ccm", "cid", "id", "write"))
    closed = b"closed"

    def check(self):
        class_path()

    def version(self):
        class_path()
        names = {path.resolve().stem for path in _jars(cache() / "peers" / "bouncycastle")}
        return next(name.split("-")[1] for name in names if name.startswith("bctls"))

    def _run(self, role, port, suite, identity, key, cid, times=1, says=None):
        words = ["java", *_QUICK, "-cp", class_path(), "BouncyCastle", role, port, identity, f"{suite:x}"]
        words += ["none" if cid is None else cid.hex(), times]
        return PeerProcess(self, words, says=says, environment={"DICE_PSK": key.hex()})

    def _serve(self, port, suite, identity, key, cid=None):
        return self._run("server", port, suite, identity, key, cid)

    def _connect(self, port, suite, identity, key, cid=None, resume=None):
        if resume not in (None, "id"):
            raise Failed(f"Bouncy Castle cannot resume by {resume}")
        return self._run("client", port, suite, identity, key, cid, 2 if resume else 1, b"ask BouncyCastle")

    def move(self, client):
        """Let a client continue from another port."""
        client.write(b"move\n")
