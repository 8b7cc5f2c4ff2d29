# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The key exchanges of a manager: each device proves the kind of key that the registry has of it, and no other."""

from dice.dtls.kx_any import AnyOf
from dice.dtls.kx_cert import write_chain
from dice.dtls.kx_cert_server import CertificateServer
from dice.dtls.kx_ecdhe_psk_server import EcdhePskLookup
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.kx_rpk_server import RawPublicKeyServer
from dicectl.manager import certificates
from dicectl.manager.registry import own_keys
from dicectl.manager.registry.public_keys import RPK


class _OwnCertificate(CertificateServer):
    """The certificate of the manager, as the registry has it at each handshake: it may have been renewed. One of another key waits
    for the next start.
    """

    def __init__(self, registry):
        setting = registry.setting(certificates.SETTING)
        chain, trust = certificates.decoded(setting["chain"]), certificates.trust(setting)
        super().__init__(own_keys.certified(registry), chain, trust, registry.find_certificate, clock=lambda: int(registry.now()))
        self._registry = registry
        self._written = setting["chain"], write_chain(chain, self.point)

    def certificate(self):
        """Return our chain; see dice.dtls.kx_ecdsa_server."""
        chain = self._registry.setting(certificates.SETTING)["chain"]
        if chain != self._written[0] and self.point in bytes.fromhex(chain[0]):
            self._written = chain, write_chain(certificates.decoded(chain), self.point)
        return self._written[1]


class Exchanges:
    """`credentials` is what dice.serve takes, a handshake.KeyExchange."""

    def __init__(self, registry, bytes_max):
        """`bytes_max`: the longest message of a handshake. Raw public keys need a key of the manager, see own_keys.private()."""
        self._parts = [PskLookup(registry.find), EcdhePskLookup(registry.find)]
        if registry.own_key(RPK):
            self._parts.append(RawPublicKeyServer(registry.own_key(RPK), registry.find_raw))
        if registry.setting(certificates.SETTING):
            self._parts.append(_OwnCertificate(registry))
        self.credentials = AnyOf(*self._parts)
        self.credentials.bytes_max = bytes_max

    @property
    def error(self):
        """The last exception of a look-up, or None."""
        return next((part.error for part in self._parts if part.error), None)
