# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The latest time, in seconds from the expulsion, at which a member may obey an expelled one (docs/protocol.md, section 14).

All of it follows from `dice.limits`. The expelled may be anybody, do anything, and hear everything; the network may lose datagrams.
"""

from dice.limits import (
    COAP_ACK_TIMEOUT_MS,
    COAP_MAX_RETRANSMIT,
    DELIVERY_RETRY_MS,
    EXPEL_MS,
    EXPEL_PACE_MS,
    MANAGED_POLL_S,
    REPORT_MAX_S,
)

EXCHANGE_S = COAP_ACK_TIMEOUT_MS * 3 // 2 * (2 ** (COAP_MAX_RETRANSMIT + 1) - 1) // 1000  # a CoAP request, until it is given up: 93
RECONNECT_S = 5  # of firmware/app, before it connects again
CONNECT_S = 60  # the timeout_s of dice.connect


def connected_s(members):
    """Of a member that answers the manager's requests at once: 5 s and 2 ms for each member.

    EXPEL_MS and EXPEL_PACE_MS for each member until the epoch is active, although somebody has not acknowledged it, and
    EXPEL_PACE_MS for each member that is asked to enter it. A manager with another `expel_pace_ms` has that instead.
    """
    return (EXPEL_MS + 2 * EXPEL_PACE_MS * members) / 1000


def lossy_s(members):
    """Of a member that is connected, and of whose datagrams at most four in a row are lost.

    A request that was under way fails as late as possible, then the GSA arrives as late as possible; it says that the epoch is
    active.
    """
    return connected_s(members) + 2 * (EXCHANGE_S + DELIVERY_RETRY_MS / 1000)


def without_session_s(members):
    """Of a member whose session has broken without its knowledge, but which can reach the manager: its report fails, it connects
    anew, and fetches the epoch, which it enters at once."""
    return max(lossy_s(members), REPORT_MAX_S + MANAGED_POLL_S + EXCHANGE_S + RECONNECT_S + CONNECT_S + EXCHANGE_S)


def after_waking_s(members):
    """Of a member that slept, or was without power: from when it is awake and can reach the manager, if it connects at once."""
    return max(lossy_s(members), CONNECT_S + EXCHANGE_S)


def without_manager_s(lifetime_s):
    """Of a member that cannot reach the manager, or that boots from its file without it: in seconds in which it has power.

    The rest of the lifetime of the epoch in use, and then that of an epoch that it held already, and the expelled as well. Nothing
    bounds it without a lifetime.
    """
    return 2 * lifetime_s if lifetime_s else None
