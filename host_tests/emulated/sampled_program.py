# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A user's program for `dicectl footprint --port P PROGRAM`: it joins a group, and prints what it receives.

A Pico has no network, so a transport in memory seals the records of another sender. Every 20th message is kept for a while in a
list of 8 KB, by which the heap must be seen to grow. The counters are in files.
"""

import asyncio

import dice
from dice import record
from dice.group.context import sender_key
from dice.group.gsa import decode
from dice.suites import PSK_AES_128_CCM_8, SUITES

SENDER = 2
APPLICATION_DATA = 23  # dice.codes is not on boards


class Air:
    """A transport on which sender 2 says "on" in every round."""

    def __init__(self, gsa):
        self.socket = asyncio.Event()
        self._key = sender_key(bytes(gsa.key), gsa.gid, gsa.epoch, SENDER)
        self._epoch = gsa.epoch
        self._number = 0
        self._task = asyncio.create_task(self._speak())

    async def _speak(self):
        while True:
            await asyncio.sleep_ms(5)
            self.socket.set()

    def receive(self):
        """Return a datagram each time the timer has come."""
        if not self.socket.is_set():
            return None
        self.socket.clear()
        self._number += 1
        key, cipher = self._key, SUITES[PSK_AES_128_CCM_8].cipher
        number = SENDER << 40 | self._number
        return record.seal(cipher, key[:16], key[16:], APPLICATION_DATA, self._epoch, number, b"on")

    def close(self):
        """Do nothing."""


async def main():
    """Join and print."""
    with open("lamps.gsa", "rb") as file:
        gsa = decode(file.read())
    group = await dice.join("lamps.gsa", transport=Air(gsa))
    heard = 0
    async for sender, message in group:
        heard += 1
        print(heard, sender, message)


asyncio.run(main())
