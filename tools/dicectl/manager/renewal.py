# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Certificates that are renewed before they expire, by the authorities that a manager was given and can sign with.

A certificate is due when less than a third of its time is left. The authority certifies the key that the device has again, for the
same name and as long as before: renewal as in EST (RFC 7030, section 4.2.2; over CoAP RFC 9148), without a request, because the
session has proved the key. device_updates delivers it. Certificates of devices that are away wait until these connect.

The manager's own certificate is renewed in the same way, and used from the next handshake on.
"""

import asyncio

from dicectl.errors import CommandError
from dicectl.manager import certificate_words, certificates
from dicectl.manager.registry.public_keys import CERTIFICATE

POLL_S = 30.0
PART = 3  # of the time of a certificate: when less is left, it is renewed
AT_ONCE_MAX = 32  # certificates in one step
RETRY_S = 600  # after an attempt, of the same certificate
_NAMED_MAX = 5


def is_due(not_before, not_after, end, now):
    """Return whether a certificate with these dates is to be followed by another one; `end`: when the last of both ends."""
    return not_after is not None and end - now < (not_after - not_before) / PART


def _is_gain(local, end, time_s):
    """Return whether a new certificate would last for a while longer than until `end`: none lasts longer than its authority."""
    return local.not_after - end >= time_s / (4 * PART)


def _names(names):
    more = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
    return ", ".join(names[:_NAMED_MAX]) + more


class Renewals:
    """Renews; `problem` is why the last attempt has failed, or None."""

    def __init__(self, service):
        self.problem = None
        self.due = []  # names of devices whose certificates end soon
        self.expired = []
        self._service = service
        self._passphrase = None
        self._locals = []  # of authorities.LocalAuthority
        self._rests = {}  # until when a key is left alone, by its fingerprint
        self._sentences = []
        self._next_s = 0.0  # of the next step
        self._dates = None, None  # the manager's own certificate, in hex, and its dates

    def use(self, local_authorities, passphrase=None):
        """Sign with these, those of which the key can be read."""
        self._locals = local_authorities
        self._passphrase = passphrase

    def problems(self):
        """Return sentences about what is wrong now, for an operator."""
        return list(self._sentences)

    async def step(self):
        """Issue what is due, each POLL_S; raises RegistryError."""
        clock_s = asyncio.get_running_loop().time()
        if clock_s < self._next_s:
            return
        self._next_s = clock_s + POLL_S
        registry, now = self._service.registry, self._service.registry.now()
        due, self.expired, unserved = {}, [], []
        for name, identity in registry.devices().items():
            key = registry.public.get(identity)
            if key is None or key.kind != CERTIFICATE or key.revoked_at is not None:
                continue
            if key.expires() < now:
                self.expired.append(name)
            elif is_due(key.not_before, key.not_after, key.expires(), now):
                due[identity] = name
                if not self._signer(key):
                    unserved.append(name)
        self.due = list(due.values())
        self._say(unserved, now)
        if registry.write_error is None and self._service.may_distribute():
            await self._renew_own(now)
            for identity in [each for each in due if each in self._service.kdc.connected][:AT_ONCE_MAX]:
                await self._renew(identity, now)

    def _say(self, unserved, now):
        said = []
        if self.expired:
            said.append(f"the certificates of {_names(self.expired)} have expired: dicectl provision replace")
        if unserved:
            said.append(f"the certificates of {_names(unserved)} expire soon: dicectl provision renew, or manager run --ca")
        if self.problem:
            said.append(f"certificates cannot be renewed: {self.problem}")
        dates = self._own_dates()
        if dates and is_due(*dates, dates[1], now) and self._own_signer() is None:
            said.append(f"the manager's own certificate expires {certificate_words.day(dates[1])}: dicectl manager certify")
        self._sentences = said

    def _signer(self, key):
        """Return the LocalAuthority that can renew the certificate of a PublicKey for longer, or None."""
        for local in self._locals:
            knows = local.issuer == key.issuer and key.fingerprint.hex() in local.issued and key.fingerprint not in local.keys
            if knows and local.has_key and _is_gain(local, key.expires(), key.not_after - key.not_before):
                return local
        return None

    async def _renew(self, identity, now):
        """Issue the certificate that follows that of a device, and offer it."""
        registry = self._service.registry
        key = registry.public.get(identity)
        local = key and self._signer(key)
        chain = local and await self._attempt(local, key.fingerprint.hex(), key.not_after, "client", now)
        if not chain:
            return
        try:
            following, written = certificates.following(registry, identity, chain)
            registry.offer_certificate(identity, following, written)
        except CommandError as error:  # it was wiped or revoked meanwhile
            self.problem = error.format_message()
        self._service.updates.changed([identity])

    def _own_dates(self):
        setting = self._service.registry.setting(certificates.SETTING)
        if setting and setting["chain"][0] != self._dates[0]:
            leaf = certificates.read_leaf(bytes.fromhex(setting["chain"][0]))
            self._dates = setting["chain"][0], (leaf.not_before, leaf.not_after)
        return setting and self._dates[1]

    def _own_signer(self):
        own = self._service.authorities.own
        known = own and [each for each in self._locals if own.hex() in each.issued and own not in each.keys]
        return next((each for each in known or () if each.has_key), None)

    async def _renew_own(self, now):
        dates, local = self._own_dates(), self._own_signer()
        if not dates or not local or not is_due(*dates, dates[1], now) or not _is_gain(local, dates[1], dates[1] - dates[0]):
            return
        chain = await self._attempt(local, self._service.authorities.own.hex(), dates[1], "server", now)
        if chain:
            certificates.certify(self._service.registry, chain, [])

    async def _attempt(self, local, fingerprint, end, usage, now):
        """Return the chain that an authority has issued for a key that it knows, or None; not again soon, whatever it returns."""
        loop_now = asyncio.get_running_loop().time()
        if self._rests.get(fingerprint, 0) > loop_now:
            return None
        self._rests = {each: until for each, until in self._rests.items() if until > loop_now}
        self._rests[fingerprint] = loop_now + RETRY_S
        try:
            chain = await self._sign(local, fingerprint, end, usage, now)
            self.problem = None
            return chain
        except CommandError as error:
            self.problem = error.format_message()
            return None

    async def _sign(self, local, fingerprint, end, usage, now):
        return await asyncio.to_thread(local.renew, fingerprint, end, usage, self._passphrase, now)
