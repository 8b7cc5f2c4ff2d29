# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A certificate as a file, which is in its place only after an authority has recorded what it issued."""

import contextlib
import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from dice.store import sync
from dicectl.errors import USAGE, CommandError


def pem(certificates):
    """Return certificates in PEM, one behind the other."""
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


class CertificateFile:
    """A certificate that is written beside its place before it is recorded, and put there after that.

    Its issuers follow in PEM; DER (a name that ends with .der) has the certificate alone.
    """

    def __init__(self, path, certificate, issuers):
        self._path = Path(path)
        is_der = self._path.suffix == ".der"
        data = certificate.public_bytes(serialization.Encoding.DER) if is_der else pem([certificate, *issuers])
        self._fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            with open(self._fresh, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self.discard()
            raise CommandError(f"cannot write {path}: {error.strerror}", USAGE)

    def discard(self):
        """Remove what was written."""
        with contextlib.suppress(OSError):
            os.unlink(self._fresh)

    def finish(self):
        """Put the file in its place."""
        try:
            os.replace(self._fresh, self._path)
            sync(self._path.absolute().parent)
        except OSError as error:
            raise CommandError(f"cannot write {self._path}: {error.strerror}; the certificate is recorded: dicectl ca list --json")
