# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The local authorities that a manager was given (`dicectl manager run --ca`), and what they have revoked.

Each POLL_S their logs are looked at, and read if they have changed. A device whose certificate was revoked is expelled from all its
groups and its session ends, as if it were wiped, but the registry keeps its name: it says why, also after a restart, and also when
the folder is gone. Nothing makes such a certificate good again.

The key counts: a device is ended if any certificate of its key was revoked by the authority that has issued the one that it has, or
any of the key of that authority, or of one above it whose folder the manager has, by another one that the manager was given. A log
that cannot be read changes nothing; it is said, and looked at again.
"""

import asyncio
import contextlib
import os
from pathlib import Path

from dice.aio.wait import now, wait_for
from dice.crypto import curve
from dicectl.errors import USAGE, CommandError
from dicectl.manager import authority
from dicectl.manager.registry import own_keys
from dicectl.manager.registry.public_keys import CERTIFICATE, RPK
from dicectl.manager.renewal import Renewals

POLL_S = 2.0
_BEGIN_S = 10.0  # for the first look; then devices are served
_HANGS_S = 30.0


class LocalAuthority:
    """The log of one authority, as of the last look.

    `keys`: the fingerprints of the keys that it has revoked, bytes; `issued`: those that it has certified, in hex; `issuer`: that
    of its own, `above` those of the authorities above it, `not_after` when it ends, and `has_key` whether it can sign.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.issuer = None
        self.keys = self.issued = self.above = frozenset()
        self.not_after = 0
        self.has_key = False
        self.problem = None
        self._mark = None  # of the log that was read

    def look(self):
        """Read the log if it has changed since it was read."""
        try:
            mark = _mark(self.folder / authority.LOG)
            if mark != self._mark:
                own = authority.Authority(self.folder)
                entries = own.list()
                self.keys = frozenset(bytes.fromhex(entry["key"]) for entry in entries if entry["revoked"] is not None)
                self.issued = frozenset(entry["key"] for entry in entries)
                self.issuer = _key_of(own.certificate)
                self.above = frozenset(map(_key_of, (*own.issuers[1:], own.anchor)))
                self.not_after = own.certificate.not_valid_after_utc.timestamp()
                self._mark = mark
            self.has_key = (self.folder / authority.KEY).exists()
            self.problem = None
        except CommandError as error:
            self.problem = error.format_message()
        except (OSError, ValueError, KeyError) as error:
            self.problem = f"cannot read {self.folder / authority.LOG}: {error}"

    def renew(self, fingerprint, end, usage, passphrase, now):
        """Return the chain, DER in hex, of a certificate that follows that of a key which ends at `end`; raises CommandError."""
        own = authority.Authority(self.folder)
        return own.chain(own.renew(fingerprint, usage, passphrase, end=end, now=int(now)))


def _key_of(certificate):
    return bytes.fromhex(authority.fingerprint(certificate.public_key()))


def _mark(path):
    """Return what changes whenever something is appended to a file."""
    found = os.stat(path)
    return found.st_mtime_ns, found.st_size, found.st_ino


class Authorities:
    """Ends the devices whose certificates are revoked, and renews those that expire soon; run() is a task.

    `error` is the last exception, or None; `own` the fingerprint of the manager's own key, or None.
    """

    def __init__(self, service):
        self.error = None
        self._service = service
        self._revoked = []
        self._looking_s = None  # since when a look goes on
        self.own = None
        self.renewals = Renewals(service)

    def use(self, folders, passphrase=None):
        """Look at the authorities in these folders. `passphrase`: of the keys that are encrypted."""
        self._revoked = [LocalAuthority(folder) for folder in folders]
        self.renewals.use(self._revoked, passphrase)

    def problems(self):
        """Return sentences about what is wrong now, for an operator."""
        found = [f"what was revoked lately is not known: {each.problem}" for each in self._revoked if each.problem]
        if self._looking_s is not None and asyncio.get_running_loop().time() - self._looking_s > _HANGS_S:
            found.append("what was revoked lately is not known: the file system of an authority does not answer")
        if any(self.own in each.keys for each in self._revoked):
            found.append("the certificate of this manager is revoked: dicectl manager certify")
        return found + self.renewals.problems()

    def check(self, key):
        """Raise CommandError if this public_keys.PublicKey of a new device is revoked."""
        if self._is_revoked(key):
            raise CommandError(f"a certificate of the key of {key.name} is revoked: let the device make another key", USAGE)

    async def begin(self):
        """Look at once: before a device is served that was revoked while no manager ran."""
        registry = self._service.registry
        self.own = own_keys.fingerprint(curve.public(own_keys.certified(registry))) if registry.own_key(RPK) else None
        with contextlib.suppress(asyncio.TimeoutError):
            await wait_for(self.step(), _BEGIN_S)

    async def run(self):
        """Look endlessly; never returns."""
        while True:
            await asyncio.sleep(POLL_S)
            await self.step()

    async def step(self):
        """Look once."""
        try:
            self._looking_s = self._looking_s or asyncio.get_running_loop().time()
            for each in self._revoked:
                await self._look(each)
            self._looking_s = None
            self._end_revoked()
            await self.renewals.step()
        except Exception as error:  # of the registry; what is revoked is ended at the next look
            self.error = error

    async def _look(self, revoked):
        await asyncio.to_thread(revoked.look)  # a file system that hangs must not stop the manager

    def _end_revoked(self):
        registry = self._service.registry
        found = [identity for identity, key in registry.public.items() if self._is_revoked(key)]
        found = [identity for identity in found if registry.public[identity].revoked_at is None]
        if not found:
            return
        sessions = {identity: registry.session_identities(identity) for identity in found}
        with self._service.together():
            for name, manager in self._service.managers.items():
                leaving = [identity for identity in found if identity in manager.state.members]
                if leaving:
                    manager.remove(leaving, now())
                    self._service.kdc.changed(name)
            for identity in found:
                registry.revoke_certificate(identity)
        for identity in found:
            self._service.disconnect(identity, sessions[identity])

    def _is_revoked(self, key):
        """Return whether the certificate of a PublicKey is revoked, or that of an authority above it."""
        if key.kind != CERTIFICATE:
            return False
        issuers = {key.issuer}.union(*(each.above for each in self._revoked if each.issuer == key.issuer))
        return any((key.issuer == each.issuer and key.fingerprint in each.keys) or issuers & each.keys for each in self._revoked)
