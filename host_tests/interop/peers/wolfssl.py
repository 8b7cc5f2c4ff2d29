# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""wolfSSL, whose sources come from Debian's source package, compiled with programs/wolfssl.c into the cache: once with pre-shared
keys alone (10 s), once with public keys (20 s).

Debian's library is built without AES-CCM and without static pre-shared keys. The sources that DTLS 1.2 needs are a few files, so
neither configure nor make is needed.
"""

import functools
import hashlib

from dicectl.errors import CommandError
from dicectl.firmware import debian
from dicectl.subprocess_log import Log, cache, file_lock, require_commands
from host_tests.interop.peers.base import PROGRAMS, Missing, Peer, PeerProcess, first_line

_SUITES = {
    0xC0A8: "PSK-AES128-CCM8",
    0xC0A4: "PSK-AES128-CCM",
    0xC0AE: "ECDHE-ECDSA-AES128-CCM-8",
    0xC0AC: "ECDHE-ECDSA-AES128-CCM",
}
_TOOLS = {"apt-get": "apt", "dpkg-source": "dpkg-dev", "gcc": "gcc"}
_PROGRAM = PROGRAMS / "wolfssl.c"
_OPTIONS = (
    "WOLFSSL_DTLS WOLFSSL_DTLS_MTU WOLFSSL_STATIC_PSK HAVE_AESCCM HAVE_TLS_EXTENSIONS HAVE_EXTENDED_MASTER HAVE_MAX_FRAGMENT"
    " HAVE_SESSION_TICKET HAVE_AESGCM WOLFSSL_TICKET_ENC_AES128_GCM"
    " NO_RSA NO_DH NO_DSA NO_MD4 NO_MD5 NO_SHA NO_RC4 NO_DES3 NO_PWDBASED NO_OLD_TLS SINGLE_THREADED"
)
_WITHOUT_KEYS = "NO_CERTS NO_ASN NO_FILESYSTEM"
_WITH_KEYS = "HAVE_ECC HAVE_SUPPORTED_CURVES HAVE_RPK WOLFSSL_SP_MATH_ALL KEEP_PEER_CERT WOLFSSL_ALT_NAMES"
_TLS = ("ssl", "tls", "internal", "keys", "wolfio", "dtls")
_CRYPTO = ("aes", "hmac", "sha256", "random", "hash", "memory", "wc_port", "kdf", "error", "logging", "wolfmath", "coding")
_PUBLIC_KEYS = ("asn", "ecc", "sp_int", "signature", "wc_encrypt")


@functools.cache
def program(with_keys=False):
    """Return the program, with pre-shared keys or with public ones; build it if needed. Raises Missing."""
    folder = cache() / "peers" / "wolfssl"
    options = f"{_OPTIONS} {_WITH_KEYS if with_keys else _WITHOUT_KEYS}".split()
    crypto = _CRYPTO + (_PUBLIC_KEYS if with_keys else ())
    digest = hashlib.sha256(_PROGRAM.read_bytes() + " ".join((*options, *_TLS, *crypto)).encode()).hexdigest()
    built = folder / f"wolfssl-{digest[:16]}"
    try:
        with file_lock(folder, print):
            if not built.exists():
                require_commands(_TOOLS)
                _build(folder, built, options, crypto)
    except CommandError as failure:
        raise Missing(failure.format_message())
    return built


def _build(folder, built, options, crypto):
    log = Log(folder / "build.log")
    source = folder / "source"
    if not (folder / "unpacked").exists():
        names = debian.fetch(folder, debian.SUITE, ["wolfssl"], [], log, print)
        description = next(folder / "packages" / name for name in names if name.endswith(".dsc"))
        log.run("unpacking wolfssl", ["rm", "-rf", source])
        log.run("unpacking wolfssl", ["dpkg-source", "-x", description, source])
        (folder / "unpacked").touch()
    files = [source / "src" / f"{name}.c" for name in _TLS] + [source / "wolfcrypt" / "src" / f"{name}.c" for name in crypto]
    temporary = built.with_suffix(".new")
    words = ["gcc", "-O1", "-w", *[f"-D{option}" for option in options], "-I", source, _PROGRAM, *files, "-o", temporary, "-lm"]
    log.run("building wolfssl", words)
    temporary.rename(built)


def settings(keys):
    """Return what the program reads from $DICE_KEYS."""
    words = ["raw" if keys.is_raw else "x509", "-", "-"]
    if keys.own:
        words[1:] = [keys.files.key, keys.files.cert]
        if keys.is_raw:
            words[2] = keys.files.key.with_suffix(".spki")
            words[2].write_bytes(keys.own.key.spki)
    words.append(keys.trusted_files.ca if keys.trusted and not keys.is_raw else "-")
    return " ".join(map(str, [*words, "ask" if keys.ask else "-", keys.name or "-"]))


class WolfSSL(Peer):
    """Options: mtu, mfl (client), resume="id" or "ticket" (the client connects twice), keys (certificates, raw public keys)."""

    name = title = "wolfSSL"
    features = frozenset(
        ("client", "server", "ccm", "certificates", "chains", "raw public keys", "ecdsa ccm", "id", "ticket", "mfl", "mtu")
    )
    closed = b"closed"

    def check(self):
        program()
        program(with_keys=True)

    def version(self):
        return first_line(program(), "version")

    def _run(self, role, port, suite, identity, key, keys, *rest, says=None):
        words = [program(bool(keys)), role, port, _SUITES[suite], identity, key.hex(), *rest]
        return PeerProcess(self, words, says=says, environment={"DICE_KEYS": settings(keys)} if keys else None)

    def _serve(self, port, suite, identity, key, mtu=None, keys=None):
        return self._run("server", port, suite, identity, key, keys, mtu or 0, 0, "-")

    def _connect(self, port, suite, identity, key, mtu=None, mfl=None, resume=None, keys=None):
        rest = (mtu or 0, (mfl or 256).bit_length() - 9, resume or "-")
        return self._run("client", port, suite, identity, key, keys, *rest, says=b"ask wolfSSL")
