# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Certificates of a local authority for keys that commands know the public key of."""

import getpass
import warnings

import rich_click as click

from dicectl.errors import USAGE, CommandError
from dicectl.manager.registry.public_keys import CERTIFICATE, RPK


def sign(folder, point, name, usage, lifetime_s=None, now=None):
    """Return (chain, anchor) of a point: certificates in DER, hexadecimal.

    `lifetime_s` of None: they do not expire, since the registry revokes keys. `now`: in place of the clock of this computer.
    Asks for the passphrase of an authority that has one. Raises CommandError.
    """
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding

    authority, passphrase = opened(folder)
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes(point))
    made = authority.sign(public, name, (usage,), lifetime_s, passphrase, now=now)
    return authority.chain(made), authority.anchor.public_bytes(Encoding.DER).hex()


def passphrase_of(path):
    """Return the first line of a private file as a passphrase."""
    from dicectl import private_file

    try:
        passphrase = private_file.read(path, "a passphrase").split(b"\n")[0].rstrip(b"\r")
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}", USAGE)
    if not passphrase:
        raise CommandError(f"the first line of {path} is empty: write the passphrase there", USAGE)
    return passphrase


def with_key(target, kind, device):
    """Return a device as the manager is asked for it: with the point of a key that it has made, if it is to have its own.

    `kind` is that of the key, the folder of the authority that signs certificates, and how long these are valid, or None.
    """
    name, folder, lifetime_s = kind
    if name not in (RPK, CERTIFICATE):
        return device
    if name == CERTIFICATE:
        check(folder)
    point = target.make_key()
    if name == RPK:
        return {**device, "point": point.hex()}
    return {**device, "point": point.hex(), "chain": sign(folder, point, device["name"], "client", lifetime_s)[0]}


class Renewing:
    """An authority that certifies keys again; it asks for its passphrase once. `lifetime_s` of None: as long as before."""

    def __init__(self, folder, lifetime_s=None):
        self._authority, self._passphrase = opened(folder)
        self._lifetime_s = lifetime_s

    def renewed(self, device):
        """Return the chain, DER in hex, that follows that of a device, {"fingerprint", "expires"}; raises CommandError."""
        from dicectl.manager.authority import SAME

        lifetime_s = SAME if self._lifetime_s is None else self._lifetime_s
        own = self._authority
        return own.chain(own.renew(device["fingerprint"], "client", self._passphrase, lifetime_s, device["expires"]))


def ask(question, option=None, **options):
    """Return a passphrase that the user types; raises CommandError without a terminal, which names the `option` for a file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return click.prompt(question, hide_input=True, err=True, **options).encode()
    except getpass.GetPassWarning:
        remedy = f"write it into a file, and name that with {option}" if option else "run this command on a terminal"
        raise CommandError(f"{question}: there is no terminal to ask for it; {remedy}", USAGE)


def opened(folder, passphrase_file=None, option=None):
    """Return an Authority and the passphrase of its key, from a file or asked for; None if it has none.

    `option` is the one that names the file, if the command has one.
    """
    from dicectl.manager.authority import Authority

    authority = Authority(folder)
    if not authority.is_encrypted():
        return authority, None
    if passphrase_file:
        return authority, passphrase_of(passphrase_file)
    return authority, ask(f"Passphrase of {folder}", option)


def check(folder):
    """Raise CommandError if there is no authority."""
    from dicectl.manager.authority import Authority

    if not folder:
        raise CommandError("a certificate needs an authority that signs it: --ca FOLDER (dicectl ca new)", USAGE)
    Authority(folder)
