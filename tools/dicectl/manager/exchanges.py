# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The key exchanges of a manager: each device proves the kind of key that the registry has of it, and no other."""

from dice.dtls.kx_any import AnyOf
from dice.dtls.kx_cert_server import CertificateServer
from dice.dtls.kx_ecdhe_psk_server import EcdhePskLookup
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.kx_rpk_server import RawPublicKeyServer
from dicectl.manager import certificates
from dicectl.manager.registry.public_keys import RPK


class Exchanges:
    """`credentials` is what dice.serve takes, a handshake.KeyExchange."""

    def __init__(self, registry, bytes_max):
        """`bytes_max`: the longest message of a handshake. Raw public keys need a key of the manager, see own_keys.private()."""
        self._parts = [PskLookup(registry.find), EcdhePskLookup(registry.find)]
        if registry.own_key(RPK):
            self._parts.append(RawPublicKeyServer(registry.own_key(RPK), registry.find_raw))
        setting = registry.setting(certificates.SETTING)
        if setting:
            chain, trust = certificates.decoded(setting["chain"]), certificates.trust(setting)
            find = registry.find_certificate
            clock = lambda: int(registry.now())  # noqa: E731
            self._parts.append(CertificateServer(registry.own_key(RPK), chain, trust, find, clock=clock))
        self.credentials = AnyOf(*self._parts)
        self.credentials.bytes_max = bytes_max

    @property
    def error(self):
        """The last exception of a look-up, or None."""
        return next((part.error for part in self._parts if part.error), None)
