# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The keys of devices in a registry, pre-shared and public ones, and their changes. The base of `base.Registry`.

The devices of all kinds are the same: a name and a random identity. They differ in what they prove in a handshake.
"""

import secrets
from dataclasses import replace

from dicectl.errors import USAGE, CommandError
from dicectl.manager.registry import psk_identity as psk
from dicectl.manager.registry.public_keys import CERTIFICATE, PSK, RPK, PublicKeys
from dicectl.manager.registry.storage import Storage

PSK_BYTES = 16
_UNCHANGED = (0, None)
NO_KEY = b""  # in place of a pre-shared key, of a device that has a public one


class Keys(Storage):
    """The answers of a registry about keys, from memory, and the transactions that change them.

    begin_key_change() begins a change, in which both keys are good; proved() ends it. `public` is a public_keys.PublicKeys.
    """

    def __init__(self):
        self._devices = {}  # (name, key) by identity
        self._key_changes = {}  # (how often the key was changed, the next key or None) by identity, of those that it concerns
        self.public = PublicKeys()
        self._own = {}  # private keys of the manager, by name

    def read_keys(self):
        """Read into memory what is answered from there."""
        self._devices = {identity: (name, key) for identity, name, key in self.read_devices()}
        self._key_changes = {identity: change for identity, *change in self.read_key_changes()}
        self._set_public(self.read_public_keys())
        self._own = self.read_own_keys()

    def _set_public(self, keys):
        self.public.clear()
        self.public.update(keys)
        self.public.index()

    def name(self, identity):
        """Return the name of a device, or None."""
        return self._devices.get(identity, (None,))[0]

    # For handshakes.

    def find(self, psk_identity):
        """Return a key or None, for dice.PskLookup: that of a device, b"ID", that of its nth change, b"ID:n", and the next one.

        A device with a public key has none, so whoever knows its identity or its fingerprint proves nothing.
        """
        identity, number = psk.split(psk_identity)
        if identity not in self._devices or identity in self.public:
            return None
        changed, following = self._key_changes.get(identity, _UNCHANGED)
        return {changed: self._devices[identity][1], changed + 1: following}.get(number) or None

    def find_raw(self, fingerprint):
        """Return the fingerprint, or None if no device has this raw public key."""
        return self.public.find(RPK, bytes(fingerprint))

    def find_certificate(self, name):
        """Return the fingerprint of the key that a certificate of this name, bytes, has to be of, or None.

        None also if its device has no certificate any more that is valid: so sessions do not outlive it.
        """
        return self.public.find(CERTIFICATE, bytes(name), self.now())

    def device_of(self, session_identity):
        """Return the identity of the device to which that of a session belongs."""
        return self.public.of_session(bytes(session_identity)) or psk.split(session_identity)[0]

    # Facts about keys.

    def kind(self, identity):
        """Return the kind of a device's key: PSK, RPK or CERTIFICATE."""
        key = self.public.get(identity)
        return key.kind if key else PSK

    def offered_certificate(self, identity):
        """Return the chain, as kx_cert.write_chain() returns it, that a device has to store in place of its own, or None."""
        key = self.public.get(identity)
        return key and key.offered

    def is_revoked(self, identity):
        """Return whether the certificate of a device is revoked."""
        key = self.public.get(identity)
        return key is not None and key.revoked_at is not None

    def next_key(self, identity):
        """Return (number, key) of the pre-shared key that a device is about to change to, or None."""
        following = self._key_changes.get(identity, _UNCHANGED)[1]
        return following and (self.key_number(identity) + 1, following)

    def key_number(self, identity):
        """Return how often the key of a device was changed."""
        return self._key_changes.get(identity, _UNCHANGED)[0]

    def changes_key(self, identity):
        """Return whether the key of a device is about to change."""
        key = self.public.get(identity)
        return key.is_wanted if key else self.next_key(identity) is not None

    def session_identities(self, identity):
        """Return the identities of the sessions that a device may have."""
        if identity in self.public:
            return self.public[identity].identities()
        return psk.until(identity, self.key_number(identity) + 1)

    # Changes.

    def begin_key_change(self, identity):
        """Begin to change the key of a device, unless that has begun.

        A next pre-shared key is stored: both are good from now on. A device with a public key makes the next one itself.
        """
        if self.changes_key(identity):
            return
        if identity in self.public:
            self._store_public(identity, self.public[identity].wanting(), "key-wanted")
            return
        changed, following = self.key_number(identity), secrets.token_bytes(PSK_BYTES)
        with self.transaction():
            self.store_key_change(identity, changed, following)
            self.log("key-offered", device=self.name(identity), key=changed + 1)
        self._key_changes[identity] = changed, following

    def offer_public_key(self, identity, fingerprint):
        """Store the fingerprint of the raw public key to which a device changes: both are good from now on.

        Raises CommandError if it is that of a device already, of this one too.
        """
        key = self.public[identity]
        if key.following == fingerprint:
            return
        if key.kind != RPK or not key.is_wanted or fingerprint == key.fingerprint:
            raise CommandError(f"{self.name(identity)} is not to have this key", USAGE)
        following = key.offering(fingerprint)
        self.public.check_free(following, identity)
        self._store_public(identity, following, "key-offered", key=self.key_number(identity) + 1, fingerprint=fingerprint.hex())

    def retire_key(self, identity):
        """Take its certificate's name from a device that is about to be deleted, so that the one in its place can have it."""
        key = self.public.get(identity)
        if key and key.kind == CERTIFICATE:
            self._store_public(identity, replace(key, name=f"{key.name}#{identity.decode()}"), "key-retired")

    def offer_certificate(self, identity, key, chain):
        """Store the chain that follows that of a device: both are good. `key` is the PublicKey of the new one.

        Raises CommandError if it is not of the same key and name, or not of a device with a certificate.
        """
        present = self.public.get(identity)
        name = self.name(identity)
        if present is None or present.kind != CERTIFICATE:
            raise CommandError(f"{name} has no certificate: dicectl provision replace {name} --key certificate", USAGE)
        if present.revoked_at is not None:
            raise CommandError(f"the certificate of {name} is revoked: dicectl provision replace {name}", USAGE)
        if (key.fingerprint, key.name) != (present.fingerprint, present.name):
            raise CommandError(f"this certificate is of another key or name than {name} has", USAGE)
        self._store_public(identity, replace(present, offered=chain), "certificate-offered", expires=key.not_after)

    def certificate_stored(self, identity, chain, key):
        """Note that a device has stored the chain that it was offered; `key` is the PublicKey of that."""
        present = self.public[identity]
        if present.offered == chain:
            stored = replace(present, issuer=key.issuer, not_before=key.not_before, not_after=key.not_after, offered=None)
            self._store_public(identity, stored, "certificate-stored", expires=key.not_after)

    def revoke_certificate(self, identity):
        """Note that the certificate of a device is revoked, for good: it can neither connect nor get another certificate."""
        key = replace(self.public[identity], revoked_at=self.now(), offered=None)
        self._store_public(identity, key, "certificate-revoked", fingerprint=key.fingerprint.hex())

    def proved(self, session_identity):
        """End the change of the key that a session has proved, if it is a next one; return the identities of sessions to check."""
        identity = self.device_of(session_identity)
        if identity in self.public:
            if bytes(session_identity) != self.public[identity].following:
                return []
            before = self.public[identity]
            self._end_key_change(identity, NO_KEY, before.changed())
            return before.identities()
        following = self.next_key(identity)
        if not following or psk.split(session_identity)[1] != following[0]:
            return []
        self.end_key_change(identity)
        return self.session_identities(identity)

    def end_key_change(self, identity):
        """Replace the pre-shared key of a device by the next one, which it has proved to have."""
        self._end_key_change(identity, self.next_key(identity)[1])

    def _end_key_change(self, identity, key, public=None):
        number = self.key_number(identity) + 1
        with self.transaction():
            self.store_key_change(identity, number, None, key)
            if public:
                self.store_public_key(identity, public)
            self.log("key-changed", device=self.name(identity), key=number)
        self._key_changes[identity] = number, None
        self._devices[identity] = self.name(identity), key
        self._keep_public(identity, public)

    def _store_public(self, identity, public, event, **detail):
        with self.transaction():
            self.store_public_key(identity, public)
            self.log(event, device=self.name(identity), **detail)
        self._keep_public(identity, public)

    def _keep_public(self, identity, key):
        """Note in memory what is stored; None: this device has no public key."""
        if key:
            self.public[identity] = key
        elif self.public.pop(identity, None) is None:
            return
        self.public.index()

    # The manager's own keys.

    def own_key(self, name):
        """Return a private key of the manager, bytes, or None."""
        return self._own.get(name)

    def store_own_key(self, name, private):
        """Store a private key of the manager, in place of the one of this name."""
        with self.transaction():
            self.write_own_key(name, private)
            self.log("own-key", kind=name)
        self._own[name] = private
