# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Datagrams by ESP-NOW broadcast between ESP32s on one Wi-Fi channel, without an access point (row 6).

A frame carries 250 bytes, so a message to a group has at most 221, or 213 with 16-byte tags. ESP-NOW's own encryption is between
two peers and cannot protect a broadcast; what is sent here is a record of dice, which needs none below it.
"""

import errno

from ..limits import ESPNOW_FRAME_MAX_BYTES

_BROADCAST = b"\xff" * 6


class EspNow:
    """Sends to and receives from every device within reach that listens on the same channel.

    `radio` is an `espnow.ESPNow()` that is active, on a WLAN interface that is. Nobody
    acknowledges a broadcast: what is lost is lost.
    """

    def __init__(self, radio):
        self.socket = radio
        try:
            radio.add_peer(_BROADCAST)
        except OSError as error:
            if error.args[-1] != "ESP_ERR_ESPNOW_EXIST":
                raise

    def send(self, datagram):
        """Send to all; raises OSError, also for what does not fit a frame."""
        if len(datagram) > ESPNOW_FRAME_MAX_BYTES:
            raise OSError(errno.EINVAL)
        self.socket.send(_BROADCAST, datagram, False)

    def receive(self):
        """Return the next datagram, or None; raises OSError."""
        return self.socket.recv(0)[1]

    def close(self):
        """Stop the radio."""
        self.socket.active(False)
