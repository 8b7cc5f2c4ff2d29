# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The requests of commands about the key and the certificate of a running manager."""

import math
import os

from dice.crypto import curve
from dicectl.errors import USAGE, CommandError
from dicectl.manager import certificates
from dicectl.manager.registry import own_keys
from dicectl.manager.registry.public_keys import CERTIFICATE


class CertificateRequests:
    """Executes requests on a service.ManagerService: do_X(...) is the request X; values are those of JSON."""

    def __init__(self, service):
        self._service = service
        self._new = None  # a private key that waits for its certificate

    def do_public_key(self, new=False):
        """Return the public key of the manager's certificate, a point in hex, its fingerprint, and the name in there or None.

        "pins" has the fingerprints that devices pin which are provisioned now. `new`: the key is another one, which the next
        certify may store.
        """
        self._new = curve.generate(os.urandom) if new else None
        point = curve.public(self._new or own_keys.certified(self._service.registry))
        setting = self._service.registry.setting(certificates.SETTING) or {}
        found = {"point": point.hex(), "fingerprint": own_keys.fingerprint(point).hex()}
        return {**found, "name": setting.get("name"), "pins": setting.get("pins", [])}

    def do_certify(self, chain, anchors, pins=None):
        """Store the certificate of the manager, from its next start on, and one more authority that it trusts.

        `pins`: fingerprints of keys, one of which devices will demand of it; None: those of before.
        """
        certificates.certify(self._service.registry, chain, anchors, self._new, pins)
        return self.do_public_key()

    def do_expiring(self, names):
        """Return [{"name", "fingerprint", "expires"}] of devices with certificates; without names, of those that expire soon.

        "expires" is that of the last certificate that was issued, or None if it is not known.
        """
        found = []
        for name in names or self._service.authorities.renewals.due:
            identity = self._service.identity(name)
            key = self._service.registry.public.get(identity)
            if key is None or key.kind != CERTIFICATE:
                raise CommandError(f"{name} has no certificate: dicectl provision replace {name} --key certificate", USAGE)
            end = key.expires()
            found.append({"name": name, "fingerprint": key.fingerprint.hex(), "expires": None if end == math.inf else end})
        return found

    def do_renew(self, chains):
        """Offer certificates to devices, {name: chain, DER in hex}; return {name: when it ends}."""
        registry = self._service.registry
        offered = {}
        with registry.together():
            for name, chain in chains.items():
                identity = self._service.identity(name)
                key, written = certificates.following(registry, identity, chain)
                registry.offer_certificate(identity, key, written)
                offered[identity] = key.not_after
        self._service.updates.changed(offered)
        return {registry.name(identity): end for identity, end in offered.items()}

    def do_renewed(self, ends):
        """Return {name: why not yet} of devices that have not stored the certificate that ends at `ends`[name]."""
        found = {}
        for name, end in ends.items():
            identity = self._service.registry.identity(name)
            key = self._service.registry.public.get(identity)
            if key is None:
                found[name] = "it was deleted, or has another key now"
            elif key.not_after is None or key.not_after < end:
                found[name] = self._service.updates.why_not(identity)
        return found
