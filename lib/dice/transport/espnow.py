# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Datagrams by ESP-NOW broadcast, between ESP32s on one Wi-Fi channel, without an access point.

A frame carries 250 bytes. Group records are recoded (dice.transport.recode), so a message to a group has at most 236 bytes, or 228
with 16-byte tags; records that go whole have 221 or 213. The encryption of ESP-NOW works between two devices, and cannot protect a
broadcast; a record of dice does not need it.
"""

import errno

from .._compat import const
from .._typing import TYPING
from ..limits import ESPNOW_FRAME_MAX_BYTES
from .recode import recode, restore

if TYPING:
    from typing import Any

    from ..types import Bytes

_BROADCAST = b"\xff" * 6
_QUIET_MAX = const(15)  # calls of renew() in which nothing was received: 30 s


class EspNow:
    """A group's transport to all devices within reach on the same channel. Broadcasts are not acknowledged by the radio.

    * `errors`: how often the radio could not be read.
    * `error`: what it raised last.

    MicroPython's ring of received frames can lose step; recv() then raises ValueError again and again. So a frame that cannot be
    read is lost, and from the second one in a row on, the radio is deactivated and activated again. The same is done when it
    cannot send, and every 30 s while nothing is received: it is deaf after its WLAN interface was deactivated and activated.
    Peers other than the broadcast address are forgotten then.
    """

    def __init__(self, radio: "Any", recode: bool = True) -> None:
        """Use a radio; raises OSError.

        * `radio`: an active `espnow.ESPNow()`, on an active WLAN interface. Before it is activated, `radio.config(rxbuf=2700)`
          makes room for ten frames; by default there is room for two.
        * `recode`: whether to send group records recoded, which devices of the time before do not read. Both forms are received
          in any case.
        """
        self.socket = radio
        self.errors = 0
        self.error: Exception | None = None
        self._failed = 0  # receptions in a row
        self._quiet = 0  # calls of renew() since the last reception
        self._recode = recode
        self._add_peer()

    def send(self, datagram: "Bytes") -> None:
        """Send to all devices; raises OSError, also for a datagram that does not fit a frame."""
        frame = recode(datagram, self._recode)
        if len(frame) > ESPNOW_FRAME_MAX_BYTES:
            raise OSError(errno.EINVAL)
        try:
            self.socket.send(_BROADCAST, frame, False)
        except OSError:
            self._restart()
            self.socket.send(_BROADCAST, frame, False)

    def receive(self) -> "bytes | None":
        """Return the next datagram, or None; raises OSError if the radio cannot be read even when it was activated again."""
        try:
            _, frame = self.socket.recv(0)
            self._failed = 0
            if frame is not None:
                self._quiet = 0
                return restore(frame)
            return None
        except (OSError, ValueError) as error:
            self.errors += 1
            self.error = error
        self._failed += 1
        if self._failed > 1:
            self._restart()
        if self._failed > 2:
            raise OSError(errno.EIO)
        return None

    def renew(self) -> None:
        """Activate the radio again if nothing was received for long; raises OSError if that fails."""
        self._quiet += 1
        if self._quiet >= _QUIET_MAX:
            self._restart()
            self._quiet = 0

    def close(self) -> None:
        """Deactivate ESP-NOW."""
        self.socket.active(False)

    def _restart(self) -> None:
        self.socket.active(False)  # which forgets the peers
        self.socket.active(True)
        self._add_peer()

    def _add_peer(self) -> None:
        try:
            self.socket.add_peer(_BROADCAST)
        except OSError as error:
            if error.args[-1] != "ESP_ERR_ESPNOW_EXIST":
                raise
