# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""OpenSSL's `s_client` as a DTLS client of a node of the demo."""

import os
import select
import shutil
import subprocess
import time

_PORT = 5684
_TIMEOUT_S = 10


def available():
    """Return whether OpenSSL is installed."""
    return shutil.which("openssl") is not None


def _command(identity, key):
    """Return the argument vector. s_client takes a key only as an argument, so the key must be worthless elsewhere."""
    words = f"openssl s_client -dtls1_2 -connect 127.0.0.1:{_PORT} -psk_identity {identity} -psk {key}"
    return [*words.split(), "-cipher", "PSK-AES128-CCM8@SECLEVEL=0", "-quiet"]


def shown(identity):
    """Return the command line without the key, to print it."""
    return " ".join(_command(identity, "..."))


def request(identity, key, message):
    """Connect and send `message`; return the first line of the answer, or the error output of s_client."""
    with subprocess.Popen(
        _command(identity, key.hex()), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            process.stdin.write(message)
            process.stdin.flush()
            answer = b""
            end = time.monotonic() + _TIMEOUT_S
            while not answer.endswith(b"\n") and select.select([process.stdout], [], [], end - time.monotonic())[0]:
                part = os.read(process.stdout.fileno(), 4096)
                if not part:
                    return process.stderr.read().decode()
                answer += part
            return answer.decode()
        finally:
            process.kill()
