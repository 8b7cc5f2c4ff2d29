# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Types of what programs hand to dice and get from it, for type checkers alone: import them `if TYPE_CHECKING`."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from .aio.session import Connection
from .coap.message import Message
from .dtls.cached_info import Cached
from .dtls.cached_info_server import CachedServer
from .dtls.kx_any import AnyOf
from .dtls.kx_ecdhe_psk import EcdhePsk
from .dtls.kx_ecdhe_psk_server import EcdhePskLookup
from .dtls.kx_ecdsa import Ecdsa
from .dtls.kx_ecdsa_server import EcdsaServer
from .dtls.kx_psk import Psk
from .dtls.kx_psk_server import PskLookup

Value = TypeVar("Value")
Bytes: TypeAlias = bytes | bytearray | memoryview
Address: TypeAlias = tuple[str, int]
"""Host (a name, or an address of IPv4 or IPv6 as text, such as "fe80::1%eth0") and UDP port."""

ClientCredentials: TypeAlias = Psk | EcdhePsk | Ecdsa | Cached
ServerCredentials: TypeAlias = PskLookup | EcdhePskLookup | EcdsaServer | CachedServer | AnyOf
ConnectionHandler: TypeAlias = Callable[[Connection], Awaitable[object]]

Option: TypeAlias = tuple[int, bytes]
"""Number and value of a CoAP option."""
Response: TypeAlias = tuple[int, bytes] | tuple[int, bytes, Sequence[Option]]
"""Code, payload and options."""
RequestHandler: TypeAlias = Callable[[Message, Any], Response | None]
"""(request, the Coap or SenderID that it came from) -> response."""
Routes: TypeAlias = dict[str, dict[int, RequestHandler]]
"""{path: {method: handler}}."""

class Store(Protocol):
    """Keeps counters: see dice.store."""

    def get(self, name: str, /) -> int | None: ...
    def put(self, name: str, value: int, /) -> object: ...

class SessionTransport(Protocol):
    """Carries the datagrams of sessions: see dice.transport."""

    @property
    def socket(self) -> Any: ...
    def send(self, datagram: Bytes, address: Any = None, /) -> object: ...
    def receive(self) -> tuple[Any, Any]: ...
    def close(self) -> object: ...

class GroupTransport(Protocol):
    """Carries the datagrams of a group: see dice.transport. Those that can also ask and answer have a `source`."""

    @property
    def socket(self) -> Any: ...
    def send(self, datagram: Bytes, /) -> object: ...
    def receive(self) -> bytes | None: ...
    def close(self) -> object: ...

class Network(Protocol):
    """Makes transports: see dice.transport."""

    def Unicast(self, address: Address | None, port: int | None = None, /) -> SessionTransport: ...
    def Multicast(self, address: bytes, port: int, /) -> GroupTransport: ...
