# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""tinydtls from PyPI's DTLSSocket: with pre-shared keys through that package, with raw public keys by programs/tinydtls.c.

DTLSSocket is compiled from source: it needs gcc, make, autoconf, automake, pkg-config and Python's headers. It does not offer raw
public keys, but its sources contain all of tinydtls, from which the program is compiled (once, 2 s).
"""

import functools
import hashlib
import sys
import tarfile

from dicectl.errors import CommandError
from dicectl.subprocess_log import Log, cache, file_lock, require_commands
from host_tests.interop.peers.base import PROGRAMS, Missing, PeerProcess
from host_tests.interop.peers.pypi import PyPIPeer

_PROGRAM = PROGRAMS / "tinydtls.c"
_OPTIONS = ("DTLSv12=1", "WITH_SHA256=1", "DTLS_CHECK_CONTENTTYPE=1", "SHA2_USE_INTTYPES_H=1", "_GNU_SOURCE")
_SOURCES = (
    "ccm", "crypto", "dtls", "dtls_debug", "dtls_time", "hmac", "netq", "peer", "session", "ecc/ecc", "aes/rijndael",
    "aes/rijndael_wrap", "sha2/sha2", "platform-specific/dtls_prng_posix",
)  # fmt: skip


@functools.cache
def program(version):
    """Return the program for raw public keys; build it from DTLSSocket's sources if needed. Raises Missing."""
    folder = cache() / "peers" / "tinydtls"
    digest = hashlib.sha256(_PROGRAM.read_bytes() + " ".join((version, *_OPTIONS, *_SOURCES)).encode()).hexdigest()
    built = folder / f"tinydtls-{digest[:16]}"
    try:
        with file_lock(folder, print):
            if not built.exists():
                require_commands({"gcc": "gcc"})
                _build(folder, version, built)
    except CommandError as failure:
        raise Missing(failure.format_message())
    return built


def _build(folder, version, built):
    log = Log(folder / "build.log")
    source = folder / f"source-{version}"
    if not source.exists():
        words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "DTLSSocket", "-d", folder]
        log.run("fetching DTLSSocket from PyPI", [*words, f"DTLSSocket=={version}"])
        with tarfile.open(next(folder.glob(f"*-{version}.tar.gz"))) as archive:
            archive.extractall(folder / "unpacking", filter="data")
        next((folder / "unpacking").glob(f"*-{version}")).rename(source)
    below = source / "DTLSSocket" / "tinydtls"
    temporary = built.with_suffix(".new")
    words = ["gcc", "-O1", "-w", *[f"-D{option}" for option in _OPTIONS], "-I", below, _PROGRAM]
    log.run("building tinydtls", [*words, *[below / f"{name}.c" for name in _SOURCES], "-o", temporary])
    temporary.rename(built)


class TinyDTLS(PyPIPeer):
    """tinydtls with its stateless cookie. Options: keys (raw public keys)."""

    name = title = "tinydtls"
    package, program = "DTLSSocket", "tinydtls.py"
    features = PyPIPeer.features | {"raw public keys", "always raw keys"}
    closed = b"event 1 0"
    alert = rb"event 2 (\d+)"
    tools = (("autoconf", "autoconf"), ("aclocal", "automake"), ("pkg-config", "pkg-config"), ("make", "make"), ("gcc", "gcc"))

    def check(self):
        super().check()
        program(super().version())

    def version(self):
        return f"in DTLSSocket {super().version()}"

    def _serve(self, port, suite, identity, key, keys=None):
        if not keys:
            return super()._serve(port, suite, identity, key)
        return self._run_with_keys("server", port, keys, trusted(keys) if keys.ask else "-")

    def _connect(self, port, suite, identity, key, keys=None):
        if not keys:
            return super()._connect(port, suite, identity, key)
        return self._run_with_keys("client", port, keys, trusted(keys), b"ask tinydtls")

    def _run_with_keys(self, role, port, keys, peer, says=None):
        own = (keys.own.key.private + keys.own.key.point[1:]).hex() if keys.own else "-"
        words = [program(super().version()), role, port, peer]
        return PeerProcess(self, words, says=says, environment={"DICE_KEY": own})


def trusted(keys):
    """Return whom a side trusts, as the program reads it."""
    return keys.trusted.key.point[1:].hex() if keys.trusted else "any"
