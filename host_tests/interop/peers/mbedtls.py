# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Mbed TLS 3.6's ssl_server2 and ssl_client2, built from Debian's source package into the cache (once, 20 s on two cores).

They speak HTTP: the client sends a GET that contains `says`, the server answers with a page that names the suite.
"""

import functools
import os

from dicectl.errors import CommandError
from dicectl.firmware import debian
from dicectl.subprocess_log import Log, cache, file_lock, require_commands
from host_tests.interop.peers.base import HOST, Missing, Peer, PeerProcess, first_line

_SUITES = {
    0xC0A8: "TLS-PSK-WITH-AES-128-CCM-8",
    0xC0A4: "TLS-PSK-WITH-AES-128-CCM",
    0xC0AE: "TLS-ECDHE-ECDSA-WITH-AES-128-CCM-8",
    0xC0AC: "TLS-ECDHE-ECDSA-WITH-AES-128-CCM",
}
_TOOLS = {"apt-get": "apt", "dpkg-source": "dpkg-dev", "cmake": "cmake", "make": "make", "gcc": "gcc"}


@functools.cache
def programs():
    """Return the folder with ssl_server2 and ssl_client2; build them if needed. Raises Missing."""
    folder = cache() / "peers" / "mbedtls"
    built = folder / "build" / "programs" / "ssl"
    try:
        with file_lock(folder, print):
            if not (folder / "done").exists():
                require_commands(_TOOLS)
                _build(folder)
    except CommandError as failure:
        raise Missing(failure.format_message())
    return built


def _build(folder):
    log = Log(folder / "build.log")
    names = debian.fetch(folder, debian.SUITE, ["mbedtls"], [], log, print)
    description = next(folder / "packages" / name for name in names if name.endswith(".dsc"))
    log.run("unpacking mbedtls", ["rm", "-rf", folder / "source", folder / "build"])
    log.run("unpacking mbedtls", ["dpkg-source", "-x", description, folder / "source"])
    options = [
        "-DCMAKE_BUILD_TYPE=Release",
        "-DENABLE_TESTING=OFF",
        "-DENABLE_PROGRAMS=ON",
    ]  # with connection ids by default
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    log.run("building mbedtls", ["cmake", "-S", folder / "source", "-B", folder / "build", *options], environment=environment)
    targets = ["--target", "ssl_client2", "ssl_server2"]
    log.run("building mbedtls", ["cmake", "--build", folder / "build", "-j2", *targets], environment=environment)
    (folder / "done").touch()


class MbedTLS(Peer):
    """Options: cid, mfl, mtu, ticket, cookies (server), resume="id" or "ticket" (the client connects twice), exchanges,
    keys (certificates).

    A side closes after this many exchanges. By default the server closes only after the client.
    """

    name, title = "MbedTLS", "Mbed TLS"
    features = frozenset(("client", "server", "ccm", "certificates", "chains", "ecdsa ccm", "cid", "id", "ticket", "mfl", "mtu"))
    alert = rb"got an alert message, type: \[2:(\d+)\]"
    closed = b"connection was closed gracefully"

    def check(self):
        programs()

    def version(self):
        return first_line(programs() / "ssl_client2", "build_version=1").split()[4]

    def _common(self, program, port, suite, identity, key, cid, mfl, mtu, ticket, exchanges, keys):
        words = [
            programs() / program,
            "dtls=1",
            f"server_addr={HOST}",
            f"server_port={port}",
            f"force_ciphersuite={_SUITES[suite]}",
        ]
        words += [f"tickets={ticket:d}", f"exchanges={exchanges}", "hs_timeout=1000-8000"]
        words += self._keys(keys) if keys else [f"psk={key.hex()}", f"psk_identity={identity}"]
        given = " ".join(map(str, words))
        words += [f"{name}=none" for name in ("ca_file", "crt_file", "key_file") if f" {name}=" not in given]
        if cid is not None:
            words += ["cid=1", *([f"cid_val={cid.hex()}"] if cid else [])]
        words += [f"max_frag_len={mfl}"] if mfl else []
        return words + ([f"mtu={mtu}", "dgram_packing=0"] if mtu else [])

    def _keys(self, keys):
        words = [f"ca_file={keys.trusted_files.ca}"] if keys.trusted else []
        words += [f"crt_file={keys.files.cert}", f"key_file={keys.files.key}"] if keys.own else []
        words += [f"server_name={keys.name}"] if keys.name else []
        return [*words, f"auth_mode={'required' if keys.ask and keys.trusted else 'none'}", "debug_level=2"]

    def _serve(
        self, port, suite, identity, key, cid=None, mfl=None, mtu=None, ticket=True, exchanges=1000, cookies=True, keys=None
    ):
        words = self._common("ssl_server2", port, suite, identity, key, cid, mfl, mtu, ticket, exchanges, keys)
        return PeerProcess(self, [*words, f"cookies={cookies:d}"])

    def _connect(self, port, suite, identity, key, cid=None, mfl=None, mtu=None, ticket=True, resume=None, exchanges=1, keys=None):
        words = self._common("ssl_client2", port, suite, identity, key, cid, mfl, mtu, ticket and resume != "id", exchanges, keys)
        words += ["request_page=/MbedTLS", "read_timeout=2000", "max_resend=2", *(["reconnect=1"] if resume else [])]
        return PeerProcess(self, words, says=b"GET /MbedTLS")

    def end_session(self, running):
        """Do nothing: the client closes after its exchanges."""

    def ask(self, text):
        return b"GET " + text + b"\r\n\r\n", b"Successful connection using: TLS-"
