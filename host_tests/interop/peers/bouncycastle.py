# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Bouncy Castle with our programs BouncyCastle.java and Keys.java; its jars are unpacked from Debian's packages into the cache.

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
    sources = [PROGRAMS / f"{name}.java" for name in ("BouncyCastle", "Keys")]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    folder = cache() / "peers" / "bouncycastle"
    classes = folder / f"classes-{digest[:16]}"
    try:
        require_commands(_TOOLS)
        with file_lock(folder, print):
            if not (folder / "done").exists():
                _fetch(folder)
            path = ":".join(str(jar) for jar in _jars(folder))
            if not (classes / "BouncyCastle.class").exists():
                log = Log(folder / "compile.log")
                log.run("compiling BouncyCastle.java", ["javac", "-cp", path, "-d", classes, *sources])
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


def settings(keys):
    """Return what Keys.java reads."""
    own = keys.own
    chain = ([own.key.spki] if keys.is_raw else own.chain) if own else []
    trusted = "any" if not keys.trusted else (keys.trusted.key.spki if keys.is_raw else keys.trusted.root).hex()
    words = ["raw" if keys.is_raw else "certificates", own.key.private.hex() if own else "-"]
    return " ".join([*words, ",".join(der.hex() for der in chain) or "-", trusted, "ask" if keys.ask else "-"])


class BouncyCastle(Peer):
    """Options: cid; resume="id" (the client connects twice); keys (raw public keys, certificates).

    `move` gives a client another port during its session; `use` gives a server other keys.
    """

    name, title = "BouncyCastle", "Bouncy Castle"
    features = frozenset(
        ("client", "server", "ccm", "certificates", "chains", "raw public keys", "ECDHE_PSK", "ecdsa ccm", "cid", "id", "write")
    )
    closed = b"closed"

    def check(self):
        class_path()

    def version(self):
        class_path()
        names = {path.resolve().stem for path in _jars(cache() / "peers" / "bouncycastle")}
        return next(name.split("-")[1] for name in names if name.startswith("bctls"))

    def _run(self, role, port, suite, identity, key, cid, keys, times=1, says=None):
        words = ["java", *_QUICK, "-cp", class_path(), "BouncyCastle", role, port, identity, f"{suite:x}"]
        words += ["none" if cid is None else cid.hex(), times]
        environment = {"DICE_KEYS": settings(keys)} if keys else {"DICE_PSK": key.hex()}
        return PeerProcess(self, words, says=says, environment=environment)

    def _serve(self, port, suite, identity, key, cid=None, keys=None):
        return self._run("server", port, suite, identity, key, cid, keys)

    def _connect(self, port, suite, identity, key, cid=None, resume=None, keys=None):
        if resume not in (None, "id"):
            raise Failed(f"Bouncy Castle cannot resume by {resume}")
        return self._run("client", port, suite, identity, key, cid, keys, 2 if resume else 1, b"ask BouncyCastle")

    def use(self, server, keys):
        """Let a server use other keys from now on."""
        server.write(b"use " + settings(keys).encode() + b"\n")
        server.read_until(b"uses them")

    def move(self, client):
        """Let a client continue from another port."""
        client.write(b"move\n")
