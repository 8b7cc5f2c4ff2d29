# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Keys, certificates and chains for tests, made at run time with `cryptography`: right ones, and those with one fault.

    root = certificates.Authority("root")
    middle = root.authority("middle")
    node = middle.issue("dns:node.test", usage="server")
    node.key.private, node.key.point, node.key.spki     # 32 bytes, 65 bytes 04|X|Y, SubjectPublicKeyInfo in DER
    node.chain                                          # DER, leaf first, without the root
    root.der                                            # the trust anchor
    paths = node.files(tmp_path / "node")               # PEM for programs: key (PKCS8), sec1, cert (chain), leaf, public, ca

Keys come from their names, so that a test that fails does so again; signatures are RFC 6979's. All is valid from 2020 to 2049
unless `start` and `end` say otherwise, because programs of others ask the clock of the machine.
"""

import datetime
import hashlib
import ipaddress
from types import SimpleNamespace

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

START, END = datetime.datetime(2020, 1, 1), datetime.datetime(2049, 12, 31)
EXPIRED = {"start": datetime.datetime(2001, 1, 1), "end": datetime.datetime(2002, 1, 1)}
NOT_YET = {"start": datetime.datetime(2048, 1, 1), "end": datetime.datetime(2049, 1, 1)}
NOW = 1_800_000_000  # seconds since 1970-01-01, in 2027, for tests that need a clock of their own
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.7"), b"\5\0")  # that nobody knows

_USAGES = {
    "server": ExtendedKeyUsageOID.SERVER_AUTH,
    "client": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code": ExtendedKeyUsageOID.CODE_SIGNING,
}
_KEY_USAGES = [
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign",
    "crl_sign", "encipher_only", "decipher_only",
]  # fmt: skip
_SPKI_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")


class Key:
    """A key pair of ECDSA, by default on P-256; the same for the same name."""

    def __init__(self, name, curve=None):
        curve = curve or ec.SECP256R1()
        number = int.from_bytes(hashlib.sha512(f"key of {name}".encode()).digest()[: curve.key_size // 8], "big")
        self.own = ec.derive_private_key(number % (ORDER - 1) + 1, curve)
        self.private = self.own.private_numbers().private_value.to_bytes(32, "big")
        public = self.own.public_key()
        self.point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.compressed = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        self.spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.identity = hashlib.sha256(self.spki).digest()
        self.public_pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def pem(self, kind="pkcs8", passphrase=None):
        """Return the private key in PEM: pkcs8 or sec1, encrypted with a passphrase if there is one."""
        form = {"pkcs8": PrivateFormat.PKCS8, "sec1": PrivateFormat.TraditionalOpenSSL}[kind]
        return self.own.private_bytes(Encoding.PEM, form, BestAvailableEncryption(passphrase) if passphrase else NoEncryption())


class Issued:
    """A certificate and its key. `chain` is DER, leaf first, without the root; `root` is the DER of the root."""

    def __init__(self, key, der, issuers, root):
        self.key, self.der, self.root = key, der, root
        self.chain = [der, *issuers]

    def files(self, stem, passphrase=None):
        """Write PEM files for programs; return their paths: key, sec1, cert (the whole chain), leaf, above, ca, public."""
        stem.parent.mkdir(parents=True, exist_ok=True)
        texts = {
            "key": self.key.pem("pkcs8", passphrase),
            "sec1": self.key.pem("sec1"),
            "cert": b"".join(pem(der) for der in self.chain),
            "leaf": pem(self.der),
            "above": b"".join(pem(der) for der in self.chain[1:]),
            "ca": pem(self.root),
            "public": self.key.public_pem,
        }
        paths = {kind: stem.with_name(f"{stem.name}.{kind}.pem") for kind in texts}
        for kind, path in paths.items():
            path.touch(0o600)
            path.write_bytes(texts[kind])
        return SimpleNamespace(**paths)


class Authority(Issued):
    """A certificate authority: a root, or one below another (see `authority`)."""

    def __init__(self, name="root", parent=None, path_length=None, curve=None, **options):
        self.subject = _subject(name)
        key = Key(name, curve)
        made = {"authority": True, "path_length": path_length, "key_usage": ("key_cert_sign", "crl_sign"), **options}
        signer, issuer = (parent.key, parent.subject) if parent else (key, self.subject)
        der = certificate(key, self.subject, signer, issuer, **made)
        super().__init__(key, der, parent.below if parent else [], parent.root if parent else der)
        self.below = self.chain if parent else []  # what a chain needs besides the leaf

    def authority(self, name="middle", **options):
        """Return an authority whose certificate this one signs; see Authority and `certificate`."""
        return Authority(name, self, **options)

    def issue(self, *names, usage=("server", "client"), key=None, subject=None, **options):
        """Return a certificate for names such as dns:node.test, ip:192.0.2.7, uri:urn:x; see `certificate` for the options."""
        key = key or Key(names[0] if names else subject)
        title = subject if subject is not None else names[0].partition(":")[2]
        usages = (usage,) if isinstance(usage, str) else usage
        made = {"key_usage": ("digital_signature",), "usages": usages, "names": names, **options}
        return Issued(key, certificate(key, _subject(title), self.key, self.subject, **made), self.below, self.root)


def certificate(
    key, subject, signer, issuer, *, start=START, end=END, serial=None, digest=None, point=None, broken=False, **options
):
    """Return a certificate in DER; the other options are those of its extensions, see `extended`.

    `digest`: of the signature, SHA-256 if None; `point`: these bytes instead of the public key's, such as Key.compressed or
    off_the_curve(point); `broken`: one bit of the signature is changed.
    """
    seed = repr((subject, issuer, key.point, options)).encode()
    serial = serial or 1 + int.from_bytes(hashlib.sha256(seed).digest()[:8], "big") // 2
    builder = extended(x509.CertificateBuilder(issuer, subject, key.own.public_key(), serial, start, end), key, signer, **options)
    digest = digest or hashes.SHA256()
    made = builder.sign(signer.own, digest, ecdsa_deterministic=True)
    tbs, signature = made.tbs_certificate_bytes, made.signature
    if point is not None:
        tbs = with_point(tbs, key.spki, point)
        signature = signer.own.sign(tbs, ec.ECDSA(digest, deterministic_signing=True))
    if broken:
        signature = signature[:-1] + bytes((signature[-1] ^ 1,))
    algorithm = elements(contents(made.public_bytes(Encoding.DER)))[1]
    return sequence(tbs, algorithm, tlv(3, b"\0" + signature))


def extended(
    builder,
    key,
    signer,
    *,
    names=(),
    key_usage=None,
    usages=None,
    authority=False,
    path_length=None,
    basic=True,
    identifiers=True,
    unknown=None,
):
    """Return the builder of a certificate with its extensions.

    `usages` of ExtendedKeyUsage: server, client, code; `basic`: BasicConstraints; `identifiers`: those of the keys of subject and
    issuer, as RFC 5280 wants; `unknown`: "critical" or "other", an extension that nobody knows.
    """
    if basic:
        builder = builder.add_extension(x509.BasicConstraints(authority, path_length), critical=True)
    if key_usage is not None:
        builder = builder.add_extension(x509.KeyUsage(*(name in key_usage for name in _KEY_USAGES)), critical=True)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage([_USAGES[one] for one in usages]), critical=False)
    if identifiers and authority:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.own.public_key()), critical=False)
    if identifiers and signer is not key:
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.own.public_key()), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_name(one) for one in names]), critical=False)
    if unknown:
        builder = builder.add_extension(UNKNOWN, critical=unknown == "critical")
    return builder


def with_point(tbs, spki, point):
    """Return a TBSCertificate whose public key is these bytes on P-256."""
    algorithm = elements(contents(spki))[0]
    key = sequence(algorithm, tlv(3, b"\0" + point))
    return sequence(*(key if part == spki else part for part in elements(contents(tbs))))


def spki(point):
    """Return the SubjectPublicKeyInfo of an uncompressed point of P-256."""
    return _SPKI_HEAD + point


def off_the_curve(point):
    """Return an uncompressed point with the last bit of Y changed."""
    return point[:-1] + bytes((point[-1] ^ 1,))


def pem(der, label="CERTIFICATE"):
    """Return DER as PEM."""
    import base64

    text = base64.encodebytes(der).replace(b"\n", b"")
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return b"\n".join([f"-----BEGIN {label}-----".encode(), *lines, f"-----END {label}-----\n".encode()])


def tlv(tag, value):
    """Return an element of DER."""
    length = len(value)
    if length < 0x80:
        return bytes((tag, length)) + value
    size = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + length.to_bytes(size, "big") + value


def sequence(*parts):
    """Return a SEQUENCE of elements."""
    return tlv(0x30, b"".join(parts))


def _end(data, at):
    """Return (where the contents of the element at `at` start, where they end)."""
    length, start = data[at + 1], at + 2
    if length >= 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[at + 2 : start], "big")
    return start, start + length


def contents(element):
    """Return the contents of an element of DER."""
    start, end = _end(element, 0)
    return element[start:end]


def elements(data):
    """Return the elements of DER that stand one after the other in `data`."""
    found = []
    at = 0
    while at < len(data):
        end = _end(data, at)[1]
        found.append(data[at:end])
        at = end
    return found


def _subject(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])


def _name(text):
    kind, _, value = text.partition(":")
    if kind == "ip":
        return x509.IPAddress(ipaddress.ip_address(value))
    return {"dns": x509.DNSName, "uri": x509.UniformResourceIdentifier, "email": x509.RFC822Name}[kind](value)
