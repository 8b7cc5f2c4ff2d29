# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""host_tests/certificates.py: OpenSSL's verifier accepts what is right, and says what is wrong with each other certificate."""

import shutil
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from host_tests import certificates


@pytest.fixture
def verify(tmp_path):
    """Return a function that lets OpenSSL verify a chain, and returns what it prints."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl: apt-get install openssl")

    def run(issued, *words):
        paths = issued.files(tmp_path / "it")
        argv = ["openssl", "verify", "-x509_strict", "-trusted", paths.ca, "-untrusted", paths.cert, *words, paths.leaf]
        done = subprocess.run([str(word) for word in argv], capture_output=True, text=True)
        return done.stdout + done.stderr

    return run


def chain(length, root=None, **options):
    """Return a leaf behind `length - 1` authorities below the root."""
    above = root or certificates.Authority("root")
    for number in range(length - 1):
        above = above.authority(f"middle{number}")
    return above.issue("dns:node.test", **options)


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_a_chain_is_accepted(verify, length):
    issued = chain(length)
    assert len(issued.chain) == length
    assert ": OK" in verify(issued, "-purpose", "sslserver", "-verify_hostname", "node.test")
    assert ": OK" in verify(issued, "-purpose", "sslclient")


@pytest.mark.parametrize(
    "options, sentence",
    [
        (certificates.EXPIRED, "certificate has expired"),
        (certificates.NOT_YET, "certificate is not yet valid"),
        ({"broken": True}, "certificate signature failure"),
        ({"usage": "code"}, "unsuitable certificate purpose"),
        ({"usage": "client"}, "unsuitable certificate purpose"),
        ({"unknown": "critical"}, "unhandled critical extension"),
        ({"names": ("dns:other.test",)}, "hostname mismatch"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value.replace(" ", "-"),
)
def test_one_fault_is_one_fault(verify, options, sentence):
    said = verify(chain(2, **options), "-purpose", "sslserver", "-verify_hostname", "node.test")
    assert sentence in said
    assert said.count("error ") <= 2  # the fault, and that the verification failed


def test_an_unknown_extension_that_is_not_critical_is_no_fault(verify):
    assert ": OK" in verify(chain(1, unknown="other"))


def test_a_path_that_is_too_long_is_refused(verify):
    root = certificates.Authority("root", path_length=0)
    assert "path length constraint exceeded" in verify(chain(2, root))


def test_points_are_those_that_were_asked_for():
    root = certificates.Authority()
    key = certificates.Key("node")
    for point in (key.compressed, certificates.off_the_curve(key.point)):
        issued = root.issue("dns:node.test", key=key, point=point)
        read = x509.load_der_x509_certificate(issued.der)
        assert point in issued.der
        root.key.own.public_key().verify(read.signature, read.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
    with pytest.raises(ValueError, match=r"(?i)point|curve|key"):
        read.public_key()
    assert certificates.spki(key.point) == key.spki


def test_everything_is_the_same_each_time():
    first, second = (chain(3, root=certificates.Authority("root")) for _ in range(2))
    assert (first.chain, first.root, first.key.private) == (second.chain, second.root, second.key.private)


@pytest.mark.parametrize("kind", ["pkcs8", "sec1"])
def test_keys_are_written_as_programs_read_them(kind):
    key = certificates.Key("node")
    assert load_pem_private_key(key.pem(kind), None).private_numbers() == key.own.private_numbers()
    assert load_pem_private_key(key.pem(kind, b"secret"), b"secret").private_numbers() == key.own.private_numbers()
    with pytest.raises(TypeError):
        load_pem_private_key(key.pem(kind, b"secret"), None)
