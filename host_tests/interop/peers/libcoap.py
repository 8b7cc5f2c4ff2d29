# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""libcoap's coap-client and coap-server, built with GnuTLS and with OpenSSL: CoAP over DTLS.

The build with GnuTLS also has raw public keys, any of which it accepts; that with OpenSSL sends no certificates of authorities.
The server accepts any identity. The suite cannot be configured: CCM_8 is negotiated with a peer that supports no other.
The server also serves plain CoAP, on the port below.
"""

import re
import subprocess

from host_tests.interop.peers.base import HOST, Peer, PeerProcess, tool

_GET = bytes.fromhex("40013039")  # confirmable, no token, message id 12345


class LibCoAP(Peer):
    """A client sends one GET with the query `libcoap` and ends when it is answered. A server answers GET / with a sentence."""

    def __init__(self, build):
        self._build = build.lower()
        self.name, self.title = f"libcoap-{build}", f"libcoap ({build})"
        more = ("raw public keys", "chains", "always raw keys", "always asks") if build == "GnuTLS" else ()
        self.features = frozenset(("client", "server", "certificates", *more))
        self.alert = rb"Received alert \[(\d+)\]" if build == "GnuTLS" else rb"SSL3 alert read:fatal:(\w+)"
        self.closed = b"close notify" if build == "OpenSSL" else b"EVENT: 0x0000"  # COAP_EVENT_DTLS_CLOSED

    def check(self):
        tool(f"coap-client-{self._build}", "libcoap3-bin")
        tool(f"coap-server-{self._build}", "libcoap3-bin")

    def version(self):
        words = [f"coap-server-{self._build}", "-?"]
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return re.search(r" v(\S+)", done.stdout + done.stderr)[1]

    def _keys(self, keys):
        if keys.is_raw:
            return ["-M", keys.files.sec1]
        words = ["-C", keys.trusted_files.ca] if keys.trusted else ["-n"]
        return words + (["-c", keys.files.cert, "-j", keys.files.key] if keys.own else [])

    def _serve(self, port, suite, identity, key, keys=None):
        words = [f"coap-server-{self._build}", "-A", HOST, "-p", port - 1, "-v", 7]
        words += [*self._keys(keys), *([] if keys.ask else ["-n"])] if keys else ["-k", key.decode()]
        return PeerProcess(self, words)

    def _connect(self, port, suite, identity, key, keys=None):
        words = [f"coap-client-{self._build}", "-B", 5, "-v", 6]
        words += self._keys(keys) if keys else ["-k", key.decode(), "-u", identity]
        return PeerProcess(self, [*words, f"coaps://{HOST}:{port}/?libcoap"], says=b"libcoap")

    def ask(self, text):
        return _GET, b"This is a test server"

    def answer(self, request, text):
        """Return an acknowledgement with the code 2.05 and the request's message id and token."""
        token = request[4 : 4 + (request[0] & 15)]
        return bytes((0x60 | len(token), 0x45)) + request[2:4] + token + b"\xff" + text
