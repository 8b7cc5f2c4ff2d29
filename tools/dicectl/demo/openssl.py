# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""OpenSSL's `s_client` as somebody who asks a node of the demo."""

import os
import select
import shutil
import subprocess
import time

_PORT = 5684
_PATIENCE_S = 10


def available():
    """Tell whether OpenSSL is there."""
    return shutil.which("openssl") is not None


def _command(identity, key):
    """Return the argument vector. s_client takes keys in no other way: only for one that is worth nothing elsewhere."""
    words = f"openssl s_client -dtls1_2 -connect 127.0.0.1:{_PORT} -psk_identity {identity} -psk {key}"
    return [*words.split(), "-cipher", "PSK-AES128-CCM8@SECLEVEL=0", "-quiet"]


def shown(identity):
    """Return the command line for people, without the key."""
    return " ".join(_command(identity, "..."))


def request(identity, key, question):
    """Send bytes once connected; return the first line that comes back, or the error that it says instead."""
    with subprocess.Popen(
        _command(identity, key.hex()), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            process.stdin.write(question)
            process.stdin.flush()
            answer = b""
            end = time.monotonic() + _PATIENCE_S
            while not answer.endswith(b"\n") and select.select([process.stdout], [], [], end - time.monotonic())[0]:
                part = os.read(process.stdout.fileno(), 4096)
                if not part:
                    return process.stderr.read().decode()
                answer += part
            return answer.decode()
        finally:
            process.kill()
