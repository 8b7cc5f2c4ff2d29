# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The certificate of a device as text: "certificate expires 2027-03-01", "certificate revoked 2026-12-24"."""

import time

_NEVER_S = 250_000_000_000  # 9999-12-31, which means that it does not expire, is after it (RFC 5280, section 4.1.2.5)


def day(seconds):
    """Return the date of a time, or "never"."""
    return "never" if seconds > _NEVER_S else time.strftime("%Y-%m-%d", time.gmtime(seconds))


def words(device, now=None):
    """Return what an answer to the request "device" or "devices" says of a certificate; "" if there is nothing to be said."""
    if device.get("revoked"):
        return f"certificate revoked {day(device['revoked'])}"
    end = device.get("expires")
    if end is None or end > _NEVER_S:
        return ""
    return f"certificate {'expires' if end >= (time.time() if now is None else now) else 'expired'} {day(end)}"
