# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The state of devices as plain values, for answers to commands."""

from dice.aio.wait import now
from dice.group.presence import CONNECTED


def of_device(kdc, identity):
    """Return {"state", "heard_s", "back_s", "connected"} of a device."""
    seen = kdc.presence.find(identity, now())
    return {"state": seen.state, "heard_s": seen.heard_s, "back_s": seen.back_s, "connected": seen.state == CONNECTED}
