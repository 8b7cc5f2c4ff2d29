# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The key exchanges of a manager: each device proves the kind of key that the registry has of it, and no other."""

from dice.dtls.kx_any import AnyOf
from dice.dtls.kx_cert import read_chain, write_chain
from dice.dtls.kx_cert_server import CertificateServer
from dice.dtls.kx_ecdhe_psk_server import EcdhePskLookup
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.kx_rpk_server import RawPublicKeyServer
from dice.wire import Reader
from dice.x509.certificate import Certificate
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
        super().__init__(own_keys.certified(registry), chain, trust, registry.find_certificate, clock=self._time)
        self._registry = registry
        self._begun = 0  # notBefore of the certificate that is being verified, if the registry has it
        self._written = setting["chain"], write_chain(chain, self.point)

    def read_certificate(self, handshake, reader):
        """See CertificateServer. A certificate of which the registry has notBefore is valid also if our clock says: not yet.

        It was issued while that was ahead, and the device has no other one. The registry has its end, too.
        """
        chain = read_chain(reader)
        leaf = Certificate(chain[0]) if chain else None
        key = leaf and leaf.names and self._registry.public.get(self._registry.device_of(leaf.names[0]))
        self._begun = leaf.not_before if key and leaf.not_before in key.beginnings() else 0
        return super().read_certificate(handshake, Reader(write_chain(chain, b"") if chain else bytes(3)))

    def _time(self):
        return max(int(self._registry.now()), self._begun)

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
