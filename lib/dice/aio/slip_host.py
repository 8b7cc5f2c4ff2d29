# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A device on a serial line that has a gateway: UDP over IPv4 over SLIP in place of the system's UDP (dice.transport.slip_ip).

network = SlipHost(UART(0, 115200, rxbuf=2500), "10.77.0.5")
connection = await dice.connect(("10.77.0.1", 5684), credentials, network=network)
"""

import asyncio
import os

from .._typing import TYPING
from ..transport.slip_ip import Host
from .wait import wait

if TYPING:
    from typing import Any


class SlipHost(Host):
    """A `network` for connect, serve, join and ManagedGroup; see dice.transport.slip_ip.Host.

    A task reads the line for as long as there are endpoints. Without memory for a datagram, that datagram is dropped and counted.
    """

    def __init__(self, stream: "Any", address: str) -> None:
        """`stream` is as for dice.transport.slip.Serial; `address` is ours, as text: "10.77.0.5". Raises UsageError."""
        super().__init__(stream, address, asyncio.Event, os.urandom)
        self._task: asyncio.Task[None] | None = None

    def add(self, endpoint: "Any") -> None:
        """See Host; after an OSError of the line, a new endpoint starts the task again."""
        if self._task is None:
            self._error = None
            self._task = asyncio.create_task(self._run())
        super().add(endpoint)

    def remove(self, endpoint: "Any") -> None:
        """See Host; with its last endpoint the task ends."""
        super().remove(endpoint)
        if self._task and not self.endpoints:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        try:
            while True:
                try:
                    if not self.receive():
                        await wait(self.line.socket, None)
                except MemoryError:  # a datagram is lost, as on a bad link; the next may find room
                    self.dropped += 1
                    await asyncio.sleep(0.1)
                await asyncio.sleep(0)  # a flood must not starve the other tasks
        except OSError as error:
            self._task = None
            self.fail(error)
