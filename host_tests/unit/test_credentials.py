# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""dicectl.net.credentials: keys and certificates from files, and one clear line for each that cannot be used."""

import shutil
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from dicectl.errors import USAGE, CommandError
from dicectl.net import credentials
from host_tests import certificates

needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl: apt-get install openssl")
NODE = certificates.Authority("root").authority("middle").issue("dns:node.test")
OTHER = certificates.Authority("root").issue("dns:other.test")
P384 = certificates.Key("other curve", ec.SECP384R1())


@pytest.fixture
def files(tmp_path):
    """Return the paths of NODE's files."""
    found = NODE.files(tmp_path / "node")
    found.key.chmod(0o600)
    return found


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a private file, and returns its path."""

    def run(data, name="file"):
        path = tmp_path / name
        path.touch(0o600)
        path.write_bytes(data)
        return path

    return run


def private(path, passphrase_path=None, asked=None, warnings=None):
    return credentials.private_key(str(path), passphrase_path, lambda _: asked, (warnings if warnings is not None else []).append)


def refused(call, *arguments, **options):
    """Return the line with which a call is refused."""
    with pytest.raises(CommandError) as refusal:
        call(*arguments, **options)
    line = refusal.value.format_message()
    assert refusal.value.exit_code == USAGE
    assert "\n" not in line and NODE.key.private.hex() not in line
    return line


def options(**given):
    return credentials.Options(warn=lambda line: pytest.fail(line), ask=lambda _: None, psk=lambda: b"key of it", **given)


def test_a_private_key_is_read_in_every_form(files, write):
    assert private(files.key) == private(files.sec1) == NODE.key.private
    together = write(files.cert.read_bytes() + files.key.read_bytes())
    assert private(together) == NODE.key.private


@needs_openssl
def test_the_key_of_openssl_ecparam_is_read(write):
    """It has its parameters before it."""
    made = subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey"], capture_output=True, check=True).stdout
    assert b"BEGIN EC PARAMETERS" in made
    assert len(private(write(made))) == 32


@pytest.mark.parametrize("kind", ["pkcs8", "sec1"])
def test_an_encrypted_key_needs_its_passphrase(write, kind):
    path = write(NODE.key.pem(kind, b"open sesame"))
    assert private(path, asked=b"open sesame") == NODE.key.private
    assert private(path, str(write(b"open sesame\n", "passphrase"))) == NODE.key.private
    assert "is encrypted: name a file with its passphrase" in refused(private, path)
    assert "the passphrase is wrong" in refused(private, path, asked=b"another")
    assert "cannot be read: No such file" in refused(private, path, "/nowhere")


def test_a_key_that_others_can_read_is_warned_of(files):
    files.key.chmod(0o644)
    warnings = []
    assert private(files.key, warnings=warnings) == NODE.key.private
    assert len(warnings) == 1 and f"chmod 600 {files.key}" in warnings[0]


def test_a_private_key_that_cannot_be_used_gives_one_line(files, write):
    assert "contains no private key in PEM but a certificate, which --cert takes" in refused(private, files.cert)
    assert "contains no private key in PEM; make one: openssl genpkey" in refused(private, write(b"x"))
    assert "has a key on secp384r1; dice uses ECDSA on P-256 only" in refused(private, write(P384.pem()))
    long = rsa.generate_private_key(65537, 1024).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert "has a key of the kind RSA" in refused(private, write(long))
    text = files.key.read_bytes()
    assert "the private key is damaged" in refused(private, write(text[:60] + b"AAAA" + text[64:]))
    assert "cannot be read: No such file" in refused(private, "/nowhere")


@needs_openssl
def test_the_line_about_making_a_key_makes_one(tmp_path):
    path = tmp_path / "key"
    command = credentials.MAKE_KEY.replace("FILE", str(path))
    subprocess.run(command.split(), check=True, capture_output=True)
    assert len(private(path)) == 32


def test_a_chain_is_read_leaf_first(files, write):
    chain = credentials.certificates(str(files.cert), NODE.key.private, pytest.fail)
    assert chain == NODE.chain
    assert credentials.certificates(str(write(NODE.der)), NODE.key.private, pytest.fail) == [NODE.der]


def test_a_chain_that_cannot_be_used_gives_one_line(files, write):
    def read(path, key=NODE.key):
        return refused(credentials.certificates, str(path), key.private, pytest.fail)

    assert "has no certificate of the key that --key names" in read(files.cert, OTHER.key)
    wrong_order = write(b"".join(certificates.pem(der) for der in NODE.chain[::-1]))
    assert "begins with another certificate: put that of the key first" in read(wrong_order)
    assert "contains no certificate in PEM or DER" in read(files.key)
    off = certificates.Authority("root").issue("dns:node.test", point=certificates.off_the_curve(NODE.key.point))
    assert "public key is damaged" in read(write(certificates.pem(off.der)))


def test_a_certificate_that_has_expired_is_warned_of(write):
    old = certificates.Authority("root").issue("dns:node.test", **certificates.EXPIRED)
    warnings = []
    credentials.certificates(str(write(old.der)), old.key.private, warnings.append)
    assert len(warnings) == 1 and "expired on 2002-01-01" in warnings[0]


def test_the_key_of_a_peer_is_a_file_or_digits(files, write):
    key = NODE.key
    for text in (files.public, write(key.spki), files.leaf, key.point.hex(), key.spki.hex(), write(key.point.hex().encode())):
        assert credentials.peer_key(str(text)) == key.point
    pairs = ":".join(key.identity.hex()[at : at + 2] for at in range(0, 64, 2)).upper()
    for text in (key.identity.hex(), pairs, f"sha256:{key.identity.hex()}", write(pairs.encode() + b"\n")):
        assert credentials.peer_key(str(text)) == key.identity
    assert credentials.fingerprint(key.point) == credentials.fingerprint(key.identity) == key.identity


def test_a_key_of_a_peer_that_cannot_be_used_gives_one_line(files, write):
    def read(text):
        return refused(credentials.peer_key, str(text))

    assert "contains a private key, which only its owner should have" in read(files.key)
    assert "is no point of 65 bytes, no public key of 91 and no SHA-256 of 32" in read("00ff")
    assert "is no point of 65 bytes, no public key of 91 and no SHA-256 of 32" in read(write(b"00ff"))
    assert "is no public key of P-256" in read(certificates.off_the_curve(NODE.key.point).hex())
    assert "is no public key of P-256" in read(write(b"x"))
    other = P384.own.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert "has a key on secp384r1" in read(write(other))
    assert "cannot be read: No such file" in read("node.pub")


def test_a_name_is_one_of_dns_or_an_address():
    assert credentials.name_of("node.test") == "node.test"
    assert credentials.name_of("192.0.2.7") == bytes((192, 0, 2, 7))
    assert credentials.name_of("fe80::1%eth0") == bytes.fromhex("fe80" + "00" * 13 + "01")


@pytest.mark.parametrize(
    "given, line",
    [
        ({}, "whom to trust is missing"),
        ({"key": "x"}, "whom to trust is missing"),
        ({"identity": "node", "key": "x"}, "a client has one kind of keys"),
        ({"ecdhe": True, "ca": "x"}, "--ecdhe is for pre-shared keys"),
        ({"cert": "x", "ca": "x"}, "--cert needs the private key"),
        ({"key": "x", "ca": "x"}, "--key without --cert is a raw public key"),
        ({"key": "x", "cert": "x", "peer_keys": ("x",)}, "use one kind"),
        ({"peer_keys": ("x",), "name": "node.test"}, "--name is what the certificate"),
        ({"peer_keys": ("x",), "passphrase": "x"}, "--passphrase-file needs the private key"),
    ],
    ids=str,
)
def test_options_of_a_client_that_do_not_fit_together(files, given, line):
    given = {name: str(files.key) if value == "x" and name == "key" else value for name, value in given.items()}
    assert line in refused(credentials.client, options(**given), "node.test")


@pytest.mark.parametrize(
    "given, line",
    [
        ({}, "the server has no keys"),
        ({"ca": "x"}, "--ca needs the private key"),
        ({"peer_keys": ("x",)}, "--peer-key needs the private key"),
        ({"key": "x", "client_auth": "require"}, "needs whom to trust: --peer-key KEY"),
        ({"key": "x", "cert": "x", "client_auth": "require"}, "needs whom to trust: --ca FILE"),
        ({"identity": "node", "client_auth": "require"}, "--client-auth is for raw public keys and certificates"),
    ],
    ids=str,
)
def test_options_of_a_server_that_do_not_fit_together(files, given, line):
    given = {name: str(files.key) if value == "x" and name == "key" else value for name, value in given.items()}
    assert line in refused(credentials.server, options(**given))


def test_a_command_says_it_in_one_line(files):
    argv = [sys.executable, "-m", "dicectl", "dtls-client", "127.0.0.1", "1", "--key", str(files.cert), "--peer-key", "00"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == USAGE
    assert done.stderr.startswith("dicectl: ") and done.stderr.count("\n") == 1
