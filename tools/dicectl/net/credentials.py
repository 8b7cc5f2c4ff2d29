# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The keys and certificates of `dicectl dtls-client` and `dtls-server`, from files to a key exchange (dice.dtls.kx_*).

Each error is one line that names the file and says what to do. A private key and its passphrase are never in an argument, because
other users can read arguments, and never in an error.
"""

import dataclasses
import ipaddress
import os
import re
import stat
import time

from dicectl import small_file, system
from dicectl.errors import USAGE, CommandError

MAKE_KEY = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out FILE"
_PRIVATE_KEY = re.compile(rb"-----BEGIN ((?:EC |ENCRYPTED )?PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)
_DIGITS = re.compile(r"(sha256:)?[0-9a-fA-F:]+")
_POINT_HEX, _SPKI_HEX, _FINGERPRINT_HEX = 130, 182, 64
_SPKI_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of a command; `psk` returns the key of `identity`, `ask` a passphrase, `warn` prints a line."""

    identity: str | None = None
    psk: object = None
    ecdhe: bool = False
    key: str | None = None
    passphrase: str | None = None
    cert: str | None = None
    ca: str | None = None
    peer_keys: tuple = ()
    name: str | None = None
    client_auth: str | None = None
    ask: object = None
    warn: object = None


def _usage(message):
    return CommandError(message, USAGE)


def client(options, host):
    """Return the key exchange of a client that connects to `host`; raises CommandError."""
    _check(options, {"--cert": options.cert})
    if options.identity:
        if options.key or options.ca or options.peer_keys:
            raise _usage("a client has one kind of keys: --psk-identity, or --key with --peer-key, or --key and --cert with --ca")
        if options.ecdhe:
            from dice.dtls.kx_ecdhe_psk import EcdhePsk as Psk
        else:
            from dice.dtls.kx_psk import Psk
        return Psk(options.identity.encode(), options.psk())
    private = options.key and private_key(options.key, options.passphrase, options.ask, options.warn)
    if options.peer_keys:
        from dice.dtls.kx_rpk import RawPublicKey

        return RawPublicKey(private, [peer_key(one) for one in options.peer_keys])
    if not options.ca:
        raise _usage("whom to trust is missing: --peer-key for a raw public key, --ca for certificates; or use --psk-identity")
    from dice.dtls.kx_cert import Certificate

    chain = certificates(options.cert, private, options.warn) if private else []
    return Certificate(private, chain, _trust(options.ca), name_of(options.name or host), clock=_clock)


def server(options):
    """Return the key exchange of a server, with several kinds of keys if there are several; raises CommandError."""
    _check(options, {"--cert": options.cert, "--ca": options.ca, "--peer-key": options.peer_keys})
    if options.client_auth and not options.key:
        raise _usage(
            "--client-auth is for raw public keys and certificates: it needs --key; pre-shared keys always prove both sides"
        )
    exchanges = _public_keys_of_server(options) if options.key else []
    if options.identity:
        exchanges.append(_psk_of_server(options))
    if not exchanges:
        raise _usage(
            "the server has no keys: name --psk-identity, or --key for raw public keys, or --key and --cert for certificates"
        )
    if len(exchanges) == 1:
        return exchanges[0]
    from dice.dtls.kx_any import AnyOf

    return AnyOf(*exchanges)


def _check(options, needing_key):
    """Raise CommandError for options of which one is useless without another, or with it."""
    if options.ecdhe and not options.identity:
        raise _usage("--ecdhe is for pre-shared keys: it needs --psk-identity; raw public keys and certificates always use it")
    if options.peer_keys and (options.cert or options.ca):
        raise _usage("--peer-key trusts raw public keys, and --cert and --ca are for certificates: use one kind")
    if options.name and not options.ca:
        raise _usage("--name is what the certificate of the server must be for: it needs --ca")
    if options.key and options.ca and not options.cert:
        raise _usage(
            "--ca is for certificates, and --key without --cert is a raw public key: name the certificate, or use --peer-key"
        )
    missing = [option for option, value in {**needing_key, "--passphrase-file": options.passphrase}.items() if value]
    if missing and not options.key:
        raise _usage(f"{missing[0]} needs the private key of this side: --key FILE; make one: {MAKE_KEY}")


def _psk_of_server(options):
    if options.ecdhe:
        from dice.dtls.kx_ecdhe_psk_server import EcdhePskLookup as PskLookup
    else:
        from dice.dtls.kx_psk_server import PskLookup
    return PskLookup({options.identity.encode(): options.psk()}.get)


def _public_keys_of_server(options):
    private = private_key(options.key, options.passphrase, options.ask, options.warn)
    trusts = bool(options.ca if options.cert else options.peer_keys)
    asks = trusts if options.client_auth is None else options.client_auth == "require"
    if asks and not trusts:
        raise _usage(f"--client-auth require needs whom to trust: {'--ca FILE' if options.cert else '--peer-key KEY'}")
    if options.cert:
        from dice.dtls.kx_cert_server import CertificateServer

        chain = certificates(options.cert, private, options.warn)
        if not asks:
            return [CertificateServer(private, chain, clock=_clock)]
        find = None if options.identity is None else options.identity.encode().__ne__  # it is the name of another client
        return [CertificateServer(private, chain, _trust(options.ca), find, clock=_clock)]
    from dice.dtls.kx_rpk_server import RawPublicKeyServer

    if not asks:
        return [RawPublicKeyServer(private)]
    trusted = {fingerprint(peer_key(one)) for one in options.peer_keys}
    return [RawPublicKeyServer(private, trusted.__contains__)]


def _clock():
    return int(time.time())


def private_key(path, passphrase_path, ask, warn):
    """Return the private key, 32 bytes, of a file in PEM: PKCS8 or SEC1, encrypted or not; raises CommandError.

    `passphrase_path` is a file with a passphrase, or None: then ask(path) returns it, or None if there is nobody to ask.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = small_file.read(path, "a private key")
    if not system.WINDOWS and os.stat(path).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        warn(f"warning: others can read or change {path}, which contains a private key: chmod 600 {path}")
    found = _PRIVATE_KEY.search(data)
    if not found:
        kind = " but a certificate, which --cert takes" if b"BEGIN CERTIFICATE" in data else ""
        raise _usage(f"{path} contains no private key in PEM{kind}; make one: {MAKE_KEY}")
    try:
        try:
            key = load_pem_private_key(found[0], None)
        except TypeError:  # it is encrypted
            key = load_pem_private_key(found[0], _passphrase(path, passphrase_path, ask))
    except (ValueError, UnsupportedAlgorithm, TypeError):
        encrypted = b"ENCRYPTED" in found[0]
        raise _usage(f"{path}: {'the passphrase is wrong, or the file is damaged' if encrypted else 'the private key is damaged'}")
    _check_curve(key, path)
    return key.private_numbers().private_value.to_bytes(32, "big")


def _passphrase(path, passphrase_path, ask):
    given = small_file.read(passphrase_path, "a passphrase").rstrip(b"\r\n") if passphrase_path else ask(path)
    if not given:
        raise _usage(f"{path} is encrypted: name a file with its passphrase, --passphrase-file FILE")
    return given


def _check_curve(key, path):
    """Raise CommandError unless a key is one of ECDSA on P-256."""
    from cryptography.hazmat.primitives.asymmetric import ec

    curve = getattr(key, "curve", None)
    if not isinstance(curve, ec.SECP256R1):
        kind = f"on {curve.name}" if curve else f"of the kind {type(key).__name__.strip('_').removesuffix('PrivateKey')}"
        raise _usage(f"{path} has a key {kind}; dice uses ECDSA on P-256 only: {MAKE_KEY}")


def _load_certificates(path):
    from cryptography import x509

    data = small_file.read(path, "certificates")
    try:
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificates(data)
        return [x509.load_der_x509_certificate(data)]
    except ValueError:
        raise _usage(f"{path} contains no certificate in PEM or DER, or a damaged one")


def certificates(path, private, warn):
    """Return the certificates of a file, DER, the leaf first; raises CommandError if the leaf is not that of the private key."""
    import datetime

    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding

    found = _load_certificates(path)
    own = ec.derive_private_key(int.from_bytes(private, "big"), ec.SECP256R1()).public_key()
    matching = [one for one in found if _public_key(one, path) == own]
    if not matching:
        raise _usage(f"{path} has no certificate of the key that --key names")
    if matching[0] is not found[0]:
        raise _usage(f"{path} begins with another certificate: put that of the key first, then those of its authorities")
    expiry = found[0].not_valid_after_utc
    if expiry < datetime.datetime.now(datetime.timezone.utc):
        warn(f"warning: the certificate in {path} expired on {expiry:%Y-%m-%d}")
    return [one.public_bytes(Encoding.DER) for one in found]


def _public_key(certificate, path):
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise _usage(f"{path} has a certificate whose public key is damaged, or of an unknown kind")


def _trust(path):
    """Return the trust anchors of a file."""
    from cryptography.hazmat.primitives.serialization import Encoding

    from dice.errors import DiceError
    from dice.x509.chain import Trust

    try:
        return Trust([one.public_bytes(Encoding.DER) for one in _load_certificates(path)])
    except DiceError:
        raise _usage(f"{path} has a certificate that dice does not use: of another curve than P-256, or without BasicConstraints")


def name_of(text):
    """Return what a certificate must be for: a DNS name or an EUI-64 as text, or the 4 or 16 bytes of an address."""
    try:
        return ipaddress.ip_address(text.partition("%")[0]).packed
    except ValueError:
        return text


def peer_key(text):
    """Return whom to trust: a point, 65 bytes, or the SHA-256 of a SubjectPublicKeyInfo, 32 bytes; raises CommandError.

    `text`: a file with the peer's public key in PEM or DER, or in hex the point, the SubjectPublicKeyInfo or the hash; or a file
    with such digits, as a device writes them.
    """
    is_file = os.path.exists(text)
    data = small_file.read(text, "the public key of the peer") if is_file or not _DIGITS.fullmatch(text) else b""
    digits = (data.decode("latin-1").strip() if is_file else text).removeprefix("sha256:").replace(":", "")
    if not re.fullmatch(r"[0-9a-fA-F]+", digits):
        return _point(data, text)
    if len(digits) == _FINGERPRINT_HEX:
        return bytes.fromhex(digits)
    shown = text if is_file else f"{text[:16]}..."
    if len(digits) not in (_POINT_HEX, _SPKI_HEX):
        raise _usage(f"{shown} is no point of 65 bytes, no public key of 91 and no SHA-256 of 32")
    head = _SPKI_HEAD.hex() if len(digits) == _POINT_HEX else ""
    return _point(bytes.fromhex(head + digits), shown)


def _point(data, path):
    """Return the point of a public key in PEM or DER, which is also looked for in a certificate."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key, load_pem_public_key

    if b"PRIVATE KEY-----" in data:
        raise _usage(f"{path} contains a private key, which only its owner should have: name a file with the public key")
    try:
        if b"BEGIN CERTIFICATE" in data:
            key = x509.load_pem_x509_certificate(data).public_key()
        else:
            key = (load_pem_public_key if b"-----BEGIN" in data else load_der_public_key)(data)
    except (ValueError, UnsupportedAlgorithm):
        raise _usage(f"{path} is no public key of P-256: PEM, or hexadecimal digits")
    _check_curve(key, path)
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def fingerprint(key):
    """Return the SHA-256 of the SubjectPublicKeyInfo of a point; a fingerprint is returned as it is."""
    import hashlib

    return hashlib.sha256(_SPKI_HEAD + key).digest() if len(key) == 65 else key
