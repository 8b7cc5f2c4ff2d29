# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The requests of commands about the key and the certificate of a running manager."""

from dicectl.manager import certificates
from dicectl.manager.registry import own_keys


class CertificateRequests:
    """Executes requests on a service.ManagerService: do_X(...) is the request X; values are those of JSON."""

    def __init__(self, service):
        self._service = service

    def do_public_key(self):
        """Return the public key of the manager, a point in hex, its fingerprint, and the name in its certificate or None."""
        point = own_keys.point(self._service.registry)
        setting = self._service.registry.setting(certificates.SETTING)
        return {"point": point.hex(), "fingerprint": own_keys.fingerprint(point).hex(), "name": setting and setting["name"]}

    def do_certify(self, chain, anchors):
        """Store the certificate of the manager, from its next start on, and one more authority that it trusts."""
        registry = self._service.registry
        setting = certificates.checked(registry, chain, anchors)
        with registry.transaction():
            registry.store_setting(certificates.SETTING, setting)
            registry.log("certified", name=setting["name"])
        return self.do_public_key()
