# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Datagrams by ESP-NOW broadcast, between ESP32s on one Wi-Fi channel, without an access point.

A frame carries 250 bytes, so a message to a group has at most 221 bytes, or 213 with 16-byte tags. The encryption of ESP-NOW works
between two devices, and cannot protect a broadcast; a record of dice does not need it.
"""

import errno

from .._typing import TYPING
from ..limits import ESPNOW_FRAME_MAX_BYTES

if TYPING:
    from typing import Any

    from ..types import Bytes

_BROADCAST = b"\xff" * 6


class EspNow:
    """A group's transport to all devices within reach on the same channel. Broadcasts are not acknowledged by the radio."""

    def __init__(self, radio: "Any") -> None:
        """`radio` is an active `espnow.ESPNow()`, on an active WLAN interface; raises OSError."""
        self.socket = radio
        try:
            radio.add_peer(_BROADCAST)
        except OSError as error:
            if error.args[-1] != "ESP_ERR_ESPNOW_EXIST":
                raise

    def send(self, datagram: "Bytes") -> None:
        """Send to all devices; raises OSError, also for a datagram that does not fit a frame."""
        if len(datagram) > ESPNOW_FRAME_MAX_BYTES:
            raise OSError(errno.EINVAL)
        self.socket.send(_BROADCAST, datagram, False)

    def receive(self) -> "bytes | None":
        """Return the next datagram, or None; raises OSError."""
        _, datagram = self.socket.recv(0)
        return datagram

    def close(self) -> None:
        """Deactivate ESP-NOW."""
        self.socket.active(False)
