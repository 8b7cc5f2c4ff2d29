# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""wolfSSL, whose sources come from Debian's source package, compiled with programs/wolfssl.c into the cache (once, 10 s).

Debian's library is built without AES-CCM and without static pre-shared keys. The sources that DTLS 1.2 with a PSK needs are a few
files, so neither configure nor make is needed.
"""

import functools
import hashlib

from dicectl.errors import CommandError
from dicectl.firmware import debian
from dicectl.subprocess_log import Log, cache, file_lock, require_commands
from host_tests.interop.peers.base import PROGRAMS, Missing, Peer, PeerProcess, first_line

_SUITES = {0xC0A8: "PSK-AES128-CCM8", 0xC0A4: "PSK-AES128-CCM"}
_TOOLS = {"apt-get": "apt", "dpkg-source": "dpkg-dev", "gcc": "gcc"}
_PROGRAM = PROGRAMS / "wolfssl.c"
_OPTIONS = (
    "WOLFSSL_DTLS WOLFSSL_DTLS_MTU WOLFSSL_STATIC_PSK HAVE_AESCCM HAVE_TLS_EXTENSIONS HAVE_EXTENDED_MASTER HAVE_MAX_FRAGMENT"
    " HAVE_SESSION_TICKET HAVE_AESGCM WOLFSSL_TICKET_ENC_AES128_GCM"
    " NO_CERTS NO_ASN NO_RSA NO_DH NO_DSA NO_MD4 NO_MD5 NO_SHA NO_RC4 NO_DES3 NO_PWDBASED NO_FILESYSTEM NO_OLD_TLS SINGLE_THREADED"
)
_TLS = ("ssl", "tls", "internal", "keys", "wolfio", "dtls")
_CRYPTO = ("aes", "hmac", "sha256", "random", "hash", "memory", "wc_port", "kdf", "error", "logging", "wolfmath", "coding")


@functools.cache
def program():
    """Return the program; build it if needed. Raises Missing."""
    folder = cache() / "peers" / "wolfssl"
    digest = hashlib.sha256(_PROGRAM.read_bytes() + " ".join((_OPTIONS, *_TLS, *_CRYPTO)).encode()).hexdigest()
    built = folder / f"wolfssl-{digest[:16]}"
    try:
        with file_lock(folder, print):
            if not built.exists():
                require_commands(_TOOLS)
                _build(folder, built)
    except CommandError as failure:
        raise Missing(failure.format_message())
    return built


def _build(folder, built):
    log = Log(folder / "build.log")
    source = folder / "source"
    if not (folder / "unpacked").exists():
        names = debian.fetch(folder, debian.SUITE, ["wolfssl"], [], log, print)
        description = next(folder / "packages" / name for name in names if name.endswith(".dsc"))
        log.run("unpacking wolfssl", ["rm", "-rf", source])
        log.run("unpacking wolfssl", ["dpkg-source", "-x", description, source])
        (folder / "unpacked").touch()
    files = [source / "src" / f"{name}.c" for name in _TLS] + [source / "wolfcrypt" / "src" / f"{name}.c" for name in _CRYPTO]
    temporary = built.with_suffix(".new")
    words = [
        "gcc",
        "-O1",
        "-w",
        *[f"-D{option}" for option in _OPTIONS.split()],
        "-I",
        source,
        _PROGRAM,
        *files,
        "-o",
        temporary,
        "-lm",
    ]
    log.run("building wolfssl", words)
    temporary.rename(built)


class WolfSSL(Peer):
    """Options: mtu, mfl (client), resume="id" or "ticket" (the client connects twice)."""

    name = title = "wolfSSL"
    features = frozenset(("client", "server", "ccm", "id", "ticket", "mfl", "mtu"))
    closed = b"closed"

    def check(self):
        program()

    def version(self):
        return first_line(program(), "version")

    def _serve(self, port, suite, identity, key, mtu=None):
        return PeerProcess(self, [program(), "server", port, _SUITES[suite], identity, key.hex(), mtu or 0, 0, "-"])

    def _connect(self, port, suite, identity, key, mtu=None, mfl=None, resume=None):
        words = [
            program(),
            "client",
            port,
            _SUITES[suite],
            identity,
            key.hex(),
            mtu or 0,
            (mfl or 256).bit_length() - 9,
            resume or "-",
        ]
        return PeerProcess(self, words, says=b"ask wolfSSL")
