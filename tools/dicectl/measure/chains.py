# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Keys and certificates for measurements: a root, an authority below it, and what that has issued to a server and to a client.

They are the same each time: keys come from their names, and signatures are those of RFC 6979, so that what is measured with them
has as many bytes in each run. They protect nothing.
"""

import datetime
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER, CLIENT = "manager.home.arpa", "lamp-1.home.arpa"
_START, _END = datetime.datetime(2020, 1, 1), datetime.datetime(2049, 12, 31)
_DER = serialization.Encoding.DER
_POINT = serialization.PublicFormat.UncompressedPoint
_USAGES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


def _key(name):
    seed = hashlib.sha256(f"measured: {name}".encode()).digest()
    return ec.derive_private_key(int.from_bytes(b"\0" + seed[1:], "big"), ec.SECP256R1())  # below the order of the curve


def _issued(name, issuer, extensions):
    """Return a certificate, in DER, of `name` by `issuer`, two common names which are those of their keys too."""
    subject, signer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, issuer))
    serial = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1
    builder = x509.CertificateBuilder(signer, subject, _key(name).public_key(), serial, _START, _END)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(_key(issuer), hashes.SHA256(), ecdsa_deterministic=True).public_bytes(_DER)


def _used_for(*names):
    known = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    known += ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(*(name in names for name in known)), True


def _authority(name, issuer):
    return _issued(name, issuer, ((x509.BasicConstraints(True, None), True), _used_for("key_cert_sign", "crl_sign")))


def _leaf(name, usage, issuer):
    extensions = (
        (x509.SubjectAlternativeName([x509.DNSName(name)]), False),
        _used_for("digital_signature"),
        (x509.ExtendedKeyUsage([_USAGES[usage]]), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(_key(issuer).public_key()), False),
    )
    return _issued(name, issuer, extensions)


def files():
    """Return {file: bytes}, for a board: root.der, middle.der, and of "server" and "client" .der, .point, .raw and .key.

    A chain is the leaf and middle.der. The private key is .raw as dice takes it, 32 bytes, and .key as MicroPython's `tls` does.
    """
    root, middle = "home root", "home devices"
    found = {"root.der": _authority(root, root), "middle.der": _authority(middle, root)}
    for usage, name in (("server", SERVER), ("client", CLIENT)):
        key = _key(name)
        found[f"{usage}.der"] = _leaf(name, usage, middle)
        found[f"{usage}.raw"] = key.private_numbers().private_value.to_bytes(32, "big")
        found[f"{usage}.point"] = key.public_key().public_bytes(serialization.Encoding.X962, _POINT)
        form = serialization.PrivateFormat.TraditionalOpenSSL
        found[f"{usage}.key"] = key.private_bytes(_DER, form, serialization.NoEncryption())
    return found
