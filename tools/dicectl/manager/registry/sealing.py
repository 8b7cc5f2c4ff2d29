# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Encryption of the keys in a registry: AES-256-GCM, bound to table, column and row.

A sealed value is {1: version, 12: random nonce, ciphertext, 16: tag}. The key is derived by HKDF-SHA256 from that of the key file,
with a salt of the registry, so that two registries with one key file share no nonces. Additional data are the names of table and
column and the primary key of the row: a value that is moved to another place does not verify. One that is put back to the same
place, from an older copy, does.

Nonces are random: after 2^32 writes of keys, the probability that two are equal is 2^-33 (NIST SP 800-38D, section 8.3). A registry
writes one for each device, three for each epoch of a group, and one for each session: with a million a day, that is 11 years.
"""

import json
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dicectl.errors import USAGE, CommandError

SETTING = "sealed"  # the name of the row of table `setting` that says that a registry is encrypted
_VERSION = b"\x01"
_NONCE_BYTES = 12
_SALT_BYTES = 16
_KEY_BYTES = 32


class SealError(Exception):
    """A value does not verify."""


class Clear:
    """Keys that are stored as they are."""

    def setting(self):
        """Return the value of the row SETTING, or None."""
        return

    def seal(self, table, column, row, value):
        """Return a value as it is stored, None as None; `row` is its primary key, bytes."""
        return None if value is None else bytes(value)

    def open(self, table, column, row, stored):
        """Return a stored value; raises SealError."""
        return None if stored is None else bytes(stored)

    def __repr__(self):
        return type(self).__name__


class Sealed(Clear):
    """Keys that are stored sealed under a key file's key."""

    def __init__(self, key, salt=None):
        """`salt`: that of the registry, or None for a new one."""
        self._salt = salt or secrets.token_bytes(_SALT_BYTES)
        self._aead = AESGCM(HKDF(hashes.SHA256(), _KEY_BYTES, self._salt, b"dice registry").derive(key))

    def setting(self):
        """Return a JSON object: the salt, and a sealed value by which a wrong key is recognized."""
        check = self.seal("setting", "value", SETTING.encode(), self._salt)
        return json.dumps({"salt": self._salt.hex(), "check": check.hex()})

    def seal(self, table, column, row, value):
        if value is None:
            return None
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._aead.encrypt(nonce, bytes(value), _place(table, column, row))

    def open(self, table, column, row, stored):
        if stored is None:
            return None
        stored = bytes(stored)
        nonce, sealed = stored[1 : 1 + _NONCE_BYTES], stored[1 + _NONCE_BYTES :]
        try:
            if stored[:1] != _VERSION or len(nonce) != _NONCE_BYTES:
                raise InvalidTag
            return self._aead.decrypt(nonce, sealed, _place(table, column, row))
        except InvalidTag:
            raise SealError(f"the {column} of a row in table {table} was changed, or comes from another row or registry") from None


def of_setting(key, value):
    """Return the Sealed of a registry whose row SETTING has this value; raises SealError if `key` is not its key."""
    about = json.loads(value)
    sealed = Sealed(key, bytes.fromhex(about["salt"]))
    sealed.open("setting", "value", SETTING.encode(), bytes.fromhex(about["check"]))
    return sealed


def check_setting(title, key, rows):
    """Return the Clear or Sealed of a registry; raises CommandError if `key`, or its absence, is wrong."""
    if not rows:
        if key:
            raise not_encrypted(title)
        return Clear()
    if not key:
        raise CommandError(f"{title} is encrypted: name its key file with --key-file (encrypt: --old-key-file)", USAGE)
    try:
        return of_setting(key, rows[0][0])
    except (SealError, ValueError, KeyError):
        raise CommandError(f"this is not the key file of {title}: name the right one with --key-file", USAGE)


def not_encrypted(title):
    """Return the CommandError for a key file that a registry does not need."""
    return CommandError(f"{title} is not encrypted: run dicectl manager encrypt first, or leave --key-file out", USAGE)


def _place(table, column, row):
    return b"dice registry 1|%s|%s|" % (table.encode(), column.encode()) + bytes(row)
