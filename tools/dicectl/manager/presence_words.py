# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The state of a device as text: "connected, heard 3 s ago", "silent for 12 min", "asleep, back in 4 min"."""

from dice.group.presence import ASLEEP, CONNECTED, LEFT, NEVER, RETURNING, SILENT

_ORDER = (SILENT, RETURNING, NEVER, LEFT, ASLEEP, CONNECTED)


def rank(member):
    """Return a key that sorts devices by urgency: silent ones first, those first that have said nothing for longest."""
    return _ORDER.index(member["state"]), -(member["heard_s"] or 0)


def span(seconds):
    """Return a time as people say it: 3 s, 12 min, 5 h, 3 days."""
    for unit, size, limit in (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 172_800)):
        if seconds < limit:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds // 86_400)} days"


def words(member):
    """Return the state of a device, {"state", "heard_s", "back_s"}, as text."""
    state, heard_s, back_s = (member.get(key) for key in ("state", "heard_s", "back_s"))
    ago = "" if heard_s is None else span(heard_s)
    if state == CONNECTED:
        return f"connected, heard {ago} ago" if ago else "connected"
    if state == SILENT:
        return f"silent for {ago}" if ago else "silent since the manager started"
    if state == ASLEEP:
        return f"asleep, back in {span(back_s)}" if back_s else "asleep, due back now"
    if state == LEFT:
        return f"left {ago} ago" if ago else "left"
    if state == RETURNING:
        return f"called back, heard {ago} ago" if ago else "called back"
    return state or NEVER
