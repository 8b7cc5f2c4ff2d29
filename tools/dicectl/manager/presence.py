# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The state of devices as plain values: for answers to commands, and from what a registry knows of the time before a start."""

from dice.aio.wait import now
from dice.group.presence import ASLEEP, CONNECTED, LEFT, RETURNING, SILENT


def of_device(kdc, identity):
    """Return {"state", "heard_s", "back_s", "connected"} of a device."""
    seen = kdc.presence.find(identity, now())
    return {"state": seen.state, "heard_s": seen.heard_s, "back_s": seen.back_s, "connected": seen.state == CONNECTED}


def restore(kdc, rows, wall_now):
    """Note in which state each device was when the manager stopped; `rows` is what registry.sessions() returns.

    A device with a token had a session, and is called back. Ages are those of the wall clock, for display only: no device is awake
    because of them.
    """
    for identity, row in rows.items():
        heard_s = max(0, int(wall_now - row.heard))
        if row.token and row.state in (CONNECTED, RETURNING):
            kdc.presence.restored(identity, RETURNING, now(), heard_s)
        else:
            state = row.state if row.state in (ASLEEP, LEFT) else SILENT
            kdc.presence.restored(identity, state, now(), heard_s, max(0, int(row.back - wall_now)))
