# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The PSK identities of a device: b"ID" with the key that it was provisioned with, and b"ID:n" with the one of its nth change."""

import re

_NUMBER = re.compile(rb"[1-9][0-9]{0,8}")


def split(psk_identity):
    """Return (identity of the device, how often its key was changed) of a PSK identity."""
    psk_identity = bytes(psk_identity)
    identity, colon, number = psk_identity.rpartition(b":")
    return (identity, int(number)) if colon and _NUMBER.fullmatch(number) else (psk_identity, 0)


def until(identity, last):
    """Return the PSK identities of all keys of a device up to that of its `last` change."""
    return [identity, *(b"%s:%d" % (identity, number) for number in range(1, last + 1))]
