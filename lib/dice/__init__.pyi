# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The names of the package dice, for type checkers: those that dice.names finds."""

from .aio.coap import Coap
from .aio.group import Group, join
from .aio.group_coap import Responder, request_group
from .aio.kdc import Kdc
from .aio.managed import ManagedGroup
from .aio.service import Service, serve
from .aio.session import Connection, attach, connect
from .aio.slip_host import SlipHost
from .aio.wait import now
from .coap.codes import (
    ACK,
    BAD_REQUEST,
    BLOCK1,
    BLOCK2,
    CHANGED,
    CON,
    CONFLICT,
    CONTENT,
    CONTENT_FORMAT,
    CREATED,
    DELETE,
    DELETED,
    ETAG,
    FORBIDDEN,
    GET,
    METHOD_NOT_ALLOWED,
    NON,
    NOT_FOUND,
    OBSERVE,
    POST,
    PUT,
    RST,
    SERVICE_UNAVAILABLE,
    URI_PATH,
    URI_QUERY,
)
from .coap.resource import Router
from .dtls.cached_info import Cached
from .dtls.cached_info_server import CachedServer
from .dtls.kx_any import AnyOf
from .dtls.kx_cert import Certificate
from .dtls.kx_cert_server import CertificateServer
from .dtls.kx_ecdhe_psk import EcdhePsk
from .dtls.kx_ecdhe_psk_server import EcdhePskLookup
from .dtls.kx_psk import Psk
from .dtls.kx_psk_server import PskLookup
from .dtls.kx_rpk import RawPublicKey
from .dtls.kx_rpk_server import RawPublicKeyServer
from .dtls.sleep import restore, save
from .errors import DiceError, FormatError, LimitError, PeerError, StoreError, UsageError
from .group.manager import GroupState, Manager
from .store import FileStore, read_file, replace_file
from .stores import open_store
from .transport.espnow import EspNow
from .transport.slip import Serial
from .x509.chain import Trust

__version__: str
__all__ = [
    "ACK",
    "BAD_REQUEST",
    "BLOCK1",
    "BLOCK2",
    "CHANGED",
    "CON",
    "CONFLICT",
    "CONTENT",
    "CONTENT_FORMAT",
    "CREATED",
    "DELETE",
    "DELETED",
    "ETAG",
    "FORBIDDEN",
    "GET",
    "METHOD_NOT_ALLOWED",
    "NON",
    "NOT_FOUND",
    "OBSERVE",
    "POST",
    "PUT",
    "RST",
    "SERVICE_UNAVAILABLE",
    "URI_PATH",
    "URI_QUERY",
    "AnyOf",
    "Cached",
    "CachedServer",
    "Certificate",
    "CertificateServer",
    "Coap",
    "Connection",
    "DiceError",
    "EcdhePsk",
    "EcdhePskLookup",
    "EspNow",
    "FileStore",
    "FormatError",
    "Group",
    "GroupState",
    "Kdc",
    "LimitError",
    "ManagedGroup",
    "Manager",
    "PeerError",
    "Psk",
    "PskLookup",
    "RawPublicKey",
    "RawPublicKeyServer",
    "Responder",
    "Router",
    "Serial",
    "Service",
    "SlipHost",
    "StoreError",
    "Trust",
    "UsageError",
    "attach",
    "connect",
    "join",
    "now",
    "open_store",
    "read_file",
    "replace_file",
    "request_group",
    "restore",
    "save",
    "serve",
]
