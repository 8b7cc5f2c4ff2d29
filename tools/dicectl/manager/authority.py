# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A local certificate authority: a folder with a key, a certificate, and what was issued and revoked.

    ca.key             private key on P-256 (PKCS #8), readable by its owner only, encrypted if there is a passphrase
    ca.pem             its certificate: the trust anchor of devices
    ca.der             the same in DER, as programs on a board take it
    anchor.pem, .der   of an authority under another: the trust anchor instead, the certificate of the one at the top
    chain.pem          likewise: what follows a certificate that it signs, its own and those between it and the anchor
    certificates.jsonl one line for each certificate and each revocation, only ever appended to, under a lock

A certificate leaves this module only after its line is durable. So a serial number is never used twice, also after a crash: a line
that was not finished belongs to a certificate that nobody has, and is cut off.

Certificates are those of RFC 7925, section 4.4, and of draft-ietf-uta-tls13-iot-profile, as short as that allows: a SubjectAltName,
or an EUI-64 as the serial number of the subject too; KeyUsage, ExtendedKeyUsage and AuthorityKeyIdentifier.
"""

import base64
import contextlib
import datetime
import hashlib
import ipaddress
import json
import os
import re
import secrets
import time
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dice.limits import CERTIFICATES_MAX
from dice.store import sync
from dicectl import json_file, private_file, small_file, system
from dicectl.errors import USAGE, CommandError
from dicectl.manager.certificate_file import CertificateFile, pem

KEY, CERTIFICATE, LOG = "ca.key", "ca.pem", "certificates.jsonl"
DER = "ca.der"
ANCHOR, ANCHOR_DER, CHAIN = "anchor.pem", "anchor.der", "chain.pem"
AUTHORITY = "authority"  # in place of usages, in the log
USAGES = {"client": ExtendedKeyUsageOID.CLIENT_AUTH, "server": ExtendedKeyUsageOID.SERVER_AUTH}
LIFETIME_S = 730 * 86_400  # of a certificate of a device
SAME = -1  # in place of a lifetime: that of the certificate before
AUTHORITY_LIFETIME_S = 7300 * 86_400
_ENTRY = {**dict.fromkeys(("serial", "name", "key"), str), "usages": list, **dict.fromkeys(("issued", "not_after"), int)}
_RESTORE = "restore it from a backup; without it serial numbers could repeat"
_FOREVER = datetime.datetime(9999, 12, 31, 23, 59, 59)  # RFC 5280, section 4.1.2.5
_FOREVER_S = int(_FOREVER.replace(tzinfo=datetime.timezone.utc).timestamp())
_BACKDATED_S = 3600  # a device's clock may be behind ours
_KEY_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign",
    "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip
_EUI64 = re.compile(r"[0-9A-F]{2}(-[0-9A-F]{2}){7}")
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*", re.IGNORECASE)


def identifier(public):
    """Return the key identifier of a public key: 60 bits of SHA-1 (RFC 5280, section 4.2.1.2, the second way)."""
    digest = bytearray(x509.SubjectKeyIdentifier.from_public_key(public).digest[-8:])
    digest[0] = 0x40 | digest[0] & 0x0F
    return bytes(digest)


def fingerprint(public):
    """Return SHA-256 of a SubjectPublicKeyInfo, in hex."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(public.public_bytes(serialization.Encoding.DER, form)).hexdigest()


def general_name(text):
    """Return the GeneralName of an EUI-64, an IP address or a DNS name; raises CommandError."""
    if _EUI64.fullmatch(text.upper()):
        return x509.DNSName(text.upper())
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(text.replace("%", " ")))  # an interface of this computer is no part of a name
    if not _HOST.fullmatch(text) or re.fullmatch(r"[0-9.]+", text):
        raise CommandError(f"{text} is no EUI-64 (00-12-4B-00-14-B5-D9-A7), no IP address and no DNS name without wildcards", USAGE)
    return x509.DNSName(text)


def public_key(path):
    """Return (public key, whether its owner has proved that he has the private one) of a file; raises CommandError.

    The file is PEM or DER, of a public key or of a certificate signing request, or the point of a raw public key in hex.
    """
    data = small_file.read(path, "a public key or a request")
    if b"PRIVATE KEY-----" in data:
        raise CommandError(f"{path} contains a private key, which belongs on its device: give its public key, or a request", USAGE)
    key, proved = _decoded(data), False
    if isinstance(key, x509.CertificateSigningRequest):
        try:
            valid, key, proved = key.is_signature_valid, key.public_key(), True
        except (InvalidSignature, ValueError, TypeError):
            valid = False
        if not valid:
            raise CommandError(f"{path} is a request with a wrong signature: make it again", USAGE)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CommandError(f"{path} contains no public key on P-256, neither as PEM, DER or hex nor in a request (CSR)", USAGE)
    return key, proved


def _decoded(data):
    """Return the public key or request in some bytes, or None."""
    with contextlib.suppress(ValueError):
        point = bytes.fromhex(data.decode("ascii").strip())
        data = point
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    ways = (
        serialization.load_pem_public_key, serialization.load_der_public_key, x509.load_pem_x509_csr, x509.load_der_x509_csr,
    )  # fmt: skip
    for load in ways:
        with contextlib.suppress(Exception):  # cryptography raises several kinds for what it cannot read
            return load(data)
    return None


def _at(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).replace(tzinfo=None)


def _used_for(*names):
    return x509.KeyUsage(*(name in names for name in _KEY_USAGES))


def new(folder, name, lifetime_s=AUTHORITY_LIFETIME_S, passphrase=None, now=None, under=None):
    """Create an authority in a new folder; return its certificate. Raises CommandError; if it raises, there is none.

    `under`: (Authority, its passphrase, path length) if another one certifies it, as Authority.certify() does.
    """
    folder = Path(folder)
    now = int(time.time() if now is None else now)
    key = ec.generate_private_key(ec.SECP256R1())
    if not 0 < len(name) <= 64:
        raise CommandError("the name of an authority has 1 to 64 characters", USAGE)
    if os.path.lexists(folder):
        raise CommandError(f"{folder} exists; give a folder that does not exist", USAGE)
    above, *options = under or (None,)
    if above:
        certificate = above.certify(key.public_key(), name, lifetime_s, *options, now=now)
    else:
        builder = _authority(key.public_key(), name, None, (name, _serial(()), _at(now - _BACKDATED_S), _at(now + lifetime_s)))
        certificate = builder.sign(key, hashes.SHA256())
    form = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, form)
    try:
        folder.mkdir(mode=0o700)
        private_file.write(folder / KEY, secret)
        private_file.write(folder / LOG, b"")
        private_file.write(folder / DER, certificate.public_bytes(serialization.Encoding.DER))
        if above:
            private_file.write(folder / ANCHOR, pem([above.anchor]))
            private_file.write(folder / ANCHOR_DER, above.anchor.public_bytes(serialization.Encoding.DER))
            private_file.write(folder / CHAIN, pem([certificate, *above.issuers]))
        private_file.write(folder / CERTIFICATE, pem([certificate]))  # last: now it is one
        sync(folder.absolute().parent)
    except OSError as error:
        raise CommandError(f"cannot create {folder}: {error.strerror}", USAGE)
    return certificate


def _authority(public, name, path_max, signed):
    """Return the builder of the certificate of an authority. `signed`: name of its issuer, serial number, begin, end."""
    issuer, *rest = signed
    issuer, subject = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (issuer, name))
    builder = x509.CertificateBuilder(issuer, subject, public, *rest)
    builder = builder.add_extension(x509.BasicConstraints(True, path_max), True)
    builder = builder.add_extension(_used_for("key_cert_sign", "crl_sign"), True)
    return builder.add_extension(x509.SubjectKeyIdentifier(identifier(public)), False)


def _serial(used):
    """Return a random serial number of 8 bytes that was not used yet."""
    while True:
        serial = secrets.randbits(63) | 1 << 62  # always of 8 bytes, and positive
        if serial not in used:
            return serial


class Authority:
    """An authority in a folder. Each call that changes it holds a lock until the change is durable. Raises CommandError."""

    def __init__(self, folder):
        self.folder = Path(folder)
        try:
            self.certificate = self.anchor = x509.load_pem_x509_certificate((self.folder / CERTIFICATE).read_bytes())
            self.issuers = []
            if (self.folder / CHAIN).exists():
                self.issuers = x509.load_pem_x509_certificates((self.folder / CHAIN).read_bytes())
                self.anchor = x509.load_pem_x509_certificate((self.folder / ANCHOR).read_bytes())
        except (OSError, ValueError):
            raise CommandError(f"{folder} is no certificate authority: create one with dicectl ca new {folder}", USAGE)

    def is_encrypted(self):
        """Return whether its key needs a passphrase."""
        return b"ENCRYPTED PRIVATE KEY-----" in self._secret()

    def list(self):
        """Return the certificates, oldest first: dicts with serial, name, usages, key, issued, not_before, not_after, revoked."""
        try:
            with open(self.folder / LOG, "rb") as file:
                return self._read(file)[0]
        except OSError as error:
            raise CommandError(f"cannot read {self.folder / LOG}: {error.strerror}")

    def sign(self, public, name, usages, lifetime_s=LIFETIME_S, passphrase=None, out=None, force=False, now=None):
        """Issue a certificate for a public key; return it. `lifetime_s` of None: it does not expire. Writes `out`, if given."""
        now = int(time.time() if now is None else now)
        alternative = general_name(name)
        end = self._end(now, lifetime_s)
        signer = self._signer(passphrase)
        if out and not force and os.path.lexists(out):
            raise CommandError(f"{out} exists: give another --out, or --force", USAGE)

        def build(serial):
            return self._builder(public, serial, _at(now - _BACKDATED_S), end, alternative, usages)

        return self._issue(
            build, signer, now, {"name": _text(alternative), "usages": list(usages), "key": fingerprint(public)}, out
        )

    def certify(self, public, name, lifetime_s, passphrase=None, path_max=0, now=None):
        """Issue the certificate of another authority, with at most `path_max` authorities below it on a path; return it."""
        now = int(time.time() if now is None else now)
        end = self._end(now, lifetime_s)
        own = self.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
        if own is not None and path_max >= own:
            raise CommandError(f"{self.folder} certifies no authority with path length {path_max}: its own is {own}", USAGE)
        if len(self.issuers) + 2 > CERTIFICATES_MAX:
            raise CommandError(f"a chain has at most {CERTIFICATES_MAX} certificates: create it under a higher authority", USAGE)
        names = [_common_name(each) for each in (self.certificate, *self.issuers, self.anchor)]
        if name in names:
            raise CommandError(f"an authority above is called {name} too: give another --name", USAGE)
        signer = self._signer(passphrase)

        def build(serial):
            builder = _authority(public, name, path_max, (names[0], serial, _at(now - _BACKDATED_S), end))
            return builder.add_extension(self._identifier(), False)

        return self._issue(build, signer, now, {"name": name, "usages": [AUTHORITY], "key": fingerprint(public)})

    def chain(self, certificate):
        """Return a certificate that this authority has issued, and what follows it below the anchor: DER in hex."""
        return [each.public_bytes(serialization.Encoding.DER).hex() for each in (certificate, *self.issuers)]

    def _issue(self, build, signer, now, said, out=None):
        """Return the certificate of `build`, a function from a serial number to its builder, once it is recorded."""
        with self._locked() as file:
            known, length = self._read(file)
            serial = _serial({int(entry["serial"], 16) for entry in known})
            made = build(serial).sign(signer, hashes.SHA256())
            written = CertificateFile(out, made, self.issuers) if out else None
            entry = {
                "serial": f"{serial:016x}",
                **said,
                "issued": now,
                "not_before": now - _BACKDATED_S,
                "not_after": int(made.not_valid_after_utc.timestamp()),
                "certificate": base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode(),
            }
            try:
                self._append(file, length, entry)
            except BaseException:
                if written:
                    written.discard()
                raise
        if written:
            written.finish()
        return made

    def renew(self, key, usage, passphrase=None, lifetime_s=SAME, end=None, now=None):
        """Certify a key again, of which this authority has issued a certificate for `usage`; return the certificate.

        `key`: SHA-256 of its SubjectPublicKeyInfo, in hex. Name, usages and lifetime are those of the one that ends at `end`, or of
        the newest one; `lifetime_s` may say another.
        """
        known = [entry for entry in self.list() if entry["key"] == key and usage in entry["usages"]]
        if not known:
            raise CommandError(f"{self.folder} has issued no certificate for this key")
        last = next((entry for entry in known if entry["not_after"] == end), known[-1])
        if any(entry["revoked"] is not None for entry in known):
            raise CommandError(f"a certificate of {last['name']} is revoked: let the device make another key")
        if lifetime_s is SAME:
            lifetime_s = last["not_after"] - last["issued"]
        public = x509.load_der_x509_certificate(base64.b64decode(last["certificate"])).public_key()
        return self.sign(public, last["name"], last["usages"], lifetime_s, passphrase, now=now)

    def revoke(self, which, now=None):
        """Record that certificates are revoked: that of a serial number, or all of a name. Return those that were not before."""
        now = int(time.time() if now is None else now)
        wanted = which.lower().replace(":", "")
        with self._locked() as file:
            known, length = self._read(file)
            found = [entry for entry in known if wanted == entry["serial"] or which.lower() == entry["name"].lower()]
            if not found:
                raise CommandError(f"no certificate has the serial number or name {which}: see dicectl ca list {self.folder}")
            fresh = [entry for entry in found if entry["revoked"] is None]
            if fresh:
                self._append(file, length, {"revoked": [entry["serial"] for entry in fresh], "at": now})
        return fresh

    def _end(self, now, lifetime_s):
        """Return when a certificate ends that begins now."""
        last = self.certificate.not_valid_after_utc.replace(tzinfo=None)
        if _at(now) > last:
            raise CommandError(
                f"the authority itself has expired on {last:%Y-%m-%d}: create another one, and give it to the devices"
            )
        if lifetime_s is None:
            return _FOREVER
        return min(_at(min(now + lifetime_s, _FOREVER_S)), last)

    def _builder(self, public, serial, start, end, alternative, usages):
        """Return the builder of a certificate of a device."""
        text = _text(alternative)
        attributes = [x509.NameAttribute(NameOID.SERIAL_NUMBER, text)] if _EUI64.fullmatch(text) else []
        builder = x509.CertificateBuilder(self.certificate.subject, x509.Name(attributes), public, serial, start, end)
        builder = builder.add_extension(_used_for("digital_signature"), True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([USAGES[usage] for usage in usages]), False)
        builder = builder.add_extension(self._identifier(), False)
        return builder.add_extension(x509.SubjectAlternativeName([alternative]), not attributes)

    def _identifier(self):
        return x509.AuthorityKeyIdentifier(identifier(self.certificate.public_key()), None, None)

    def _secret(self):
        try:
            private_file.check_folder(self.folder, "the key of an authority")
            return private_file.read(self.folder / KEY, "the key of an authority")
        except OSError as error:
            raise CommandError(f"cannot read {self.folder / KEY}: {error.strerror}")

    def _signer(self, passphrase):
        try:
            return serialization.load_pem_private_key(self._secret(), passphrase if self.is_encrypted() else None)
        except TypeError:
            raise CommandError(f"{self.folder / KEY} is encrypted: its passphrase is needed", USAGE)
        except ValueError:
            raise CommandError(f"{self.folder / KEY} is not decrypted by this passphrase, or is damaged", USAGE)

    @contextlib.contextmanager
    def _locked(self):
        """Yield the log, open for reading and writing, while no other process writes it."""
        try:
            file = open(self.folder / LOG, "r+b")  # noqa: SIM115 - errors of others are not this one's
        except OSError as error:
            raise CommandError(f"cannot write {self.folder / LOG}: {error.strerror}")
        with file:
            system.lock(file.fileno())
            yield file

    def _read(self, file):
        """Return the certificates in the log, and how many bytes of it are whole lines."""
        data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        found = {}
        for number, line in enumerate(whole.splitlines(), 1):
            with json_file.checked(f"line {number} of {self.folder / LOG}", "an entry of the log", _RESTORE):
                entry = json_file.decode(line)
                if "certificate" in entry:
                    json_file.expect(entry, _ENTRY)
                    int(entry["serial"], 16), "".join(entry["usages"])
                    found[entry["serial"]] = {**entry, "revoked": None}
                for serial in entry.get("revoked", ()):
                    json_file.expect(entry, {"at": int})
                    found[serial]["revoked"] = entry["at"]
        return list(found.values()), len(whole)

    def _append(self, file, length, entry):
        """Append a line behind the whole ones, durably."""
        try:
            file.truncate(length)
            file.seek(length)
            file.write(json.dumps(entry).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                os.truncate(file.fileno(), length)
            raise CommandError(f"cannot write {self.folder / LOG}: {error.strerror}; nothing was issued or revoked")


def _text(name):
    """Return a GeneralName as text."""
    return str(name.value)


def _common_name(certificate):
    return certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
