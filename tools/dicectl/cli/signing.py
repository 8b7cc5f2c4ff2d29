# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Certificates of a local authority for keys that commands know the public key of."""

import rich_click as click

from dicectl.errors import USAGE, CommandError


def sign(folder, point, name, usage, lifetime_s=None, now=None):
    """Return (chain, anchor) of a point: certificates in DER, hexadecimal.

    `lifetime_s` of None: they do not expire, since the registry revokes keys. `now`: in place of the clock of this computer.
    Asks for the passphrase of an authority that has one. Raises CommandError.
    """
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding

    from dicectl.manager.authority import Authority

    authority = Authority(folder)
    passphrase = None
    if authority.is_encrypted():
        passphrase = click.prompt(f"Passphrase of {folder}", hide_input=True, err=True).encode()
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes(point))
    made = authority.sign(public, name, (usage,), lifetime_s, passphrase, now=now)
    return [made.public_bytes(Encoding.DER).hex()], authority.certificate.public_bytes(Encoding.DER).hex()


def check(folder):
    """Raise CommandError if there is no authority."""
    from dicectl.manager.authority import Authority

    if not folder:
        raise CommandError("a certificate needs an authority that signs it: --ca FOLDER (dicectl ca new)", USAGE)
    Authority(folder)
