# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Pre-shared keys with forward secrecy, the client's half (RFC 5489), with the suites of RFC 8442.

    struct { opaque psk_identity_hint<0..2^16-1>; ServerECDHParams params; } ServerKeyExchange;
    struct { opaque psk_identity<0..2^16-1>; ClientECDiffieHellmanPublic public; } ClientKeyExchange;
    struct { opaque Z<0..2^16-1>; opaque psk<0..2^16-1>; } premaster secret;

Who learns a key later cannot read what was sent before. Identities and keys are those of `kx_psk`, and so are their rules.
"""

from .._compat import const
from ..codes import ALERT_UNEXPECTED_MESSAGE, HANDSHAKE_CLIENT_KEY_EXCHANGE, HANDSHAKE_SERVER_KEY_EXCHANGE
from ..errors import PeerError
from ..reasons import E_UNEXPECTED
from ..suites import SUITES, AesCcm, AesCcm8
from ..wire import Reader, Writer
from . import ecdhe
from .kx_psk import Psk

# RFC 8442, section 3.
ECDHE_PSK_AES_128_CCM_8 = const(0xD003)
ECDHE_PSK_AES_128_CCM = const(0xD005)


def premaster(secret, key):
    """Return the premaster secret of an ECDH secret and a key (RFC 5489, section 2)."""
    writer = Writer()
    writer.vector(secret, 2)
    writer.vector(key, 2)
    return writer.data


class EcdhePsk(Psk):
    """A client's identity and key, as in a Psk, for a session with forward secrecy."""

    suites = (ECDHE_PSK_AES_128_CCM_8, ECDHE_PSK_AES_128_CCM)
    extensions = ecdhe.EXTENSIONS

    def read(self, handshake, kind, body):
        """Process the ServerKeyExchange, and ignore its hint; see KeyExchange."""
        if kind != HANDSHAKE_SERVER_KEY_EXCHANGE or handshake.exchange:
            return None
        reader = Reader(body)
        reader.vector(2)
        handshake.exchange = ecdhe.read_params(reader)
        reader.end()
        return True

    def flight(self, handshake):
        """Return the ClientKeyExchange; see KeyExchange."""
        if not handshake.exchange:
            raise PeerError(ALERT_UNEXPECTED_MESSAGE, E_UNEXPECTED)
        private, point = ecdhe.generate(handshake)
        handshake.premaster = premaster(ecdhe.shared(private, handshake.exchange), self._key)
        writer = Writer()
        writer.vector(self.identity, 2)
        writer.put(ecdhe.public(point))
        return ((HANDSHAKE_CLIENT_KEY_EXCHANGE, writer.data),)


SUITES[-ECDHE_PSK_AES_128_CCM_8] = AesCcm8
SUITES[-ECDHE_PSK_AES_128_CCM] = AesCcm
