# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The names that the package dice offers, and the modules that they come from. `__init__.pyi` has the same for type checkers."""

# Besides these, a name in capitals comes from coap.codes, and one that ends in Error from errors.
_OFFERED = (
    "aio.group join Group,aio.session connect attach Connection,aio.service serve Service,aio.wait now,aio.slip_host SlipHost,"
    "dtls.kx_psk Psk,dtls.kx_psk_server PskLookup,"
    "dtls.kx_ecdhe_psk EcdhePsk,dtls.kx_ecdhe_psk_server EcdhePskLookup,dtls.kx_any AnyOf,dtls.cached_info Cached,"
    "dtls.cached_info_server CachedServer,"
    "dtls.sleep save restore,aio.coap Coap,coap.resource Router,"
    "dtls.kx_rpk RawPublicKey,dtls.kx_rpk_server RawPublicKeyServer,"
    "dtls.kx_cert Certificate,dtls.kx_cert_server CertificateServer,x509.chain Trust,"
    "aio.group_coap Responder request_group,aio.managed ManagedGroup,aio.kdc Kdc,group.manager Manager GroupState,"
    "stores open_store,store FileStore read_file replace_file,transport.slip Serial,transport.espnow EspNow"
)


def find(name: str) -> object:
    """Import and return what has this name in the package dice; raises AttributeError."""
    home = "coap.codes" if name.isupper() else "errors" if name.endswith("Error") else None
    for line in _OFFERED.split(","):
        names = line.split(" ")
        if name in names[1:]:
            home = names[0]
    if home is None:
        raise AttributeError(name)
    return getattr(__import__("dice." + home, None, None, (name,)), name)
