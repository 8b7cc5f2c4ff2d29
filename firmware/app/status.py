# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The light of the node, which also shows its state: it blinks fast in trouble, and slowly while the node joins.

No fault of it ends the node. It blinks in a task, because timers differ between chips.
"""

import asyncio

import pins

_BLINK_MS = {"trouble": 100, "joining": 500}


class Led:
    """An LED on a pin, by number or name; a line on the console if `pin` is None, or if this board has no such pin."""

    def __init__(self, pin):
        self._pin = None
        self._on = False
        self._blink_ms = None  # None: it shows the state of the lamp
        self._task = None
        if pin is not None:
            try:
                from machine import Pin

                self._pin = Pin(pins.find(pin), Pin.OUT)
            except Exception as error:  # ValueError: no such pin here, or one that is only an input
                print('trouble: led %s: %s: pins.json must name a pin of this board, such as {"LED": 4}' % (pin, error))

    def light(self, on):
        """Be the lamp that the group commands."""
        self._on = on
        if self._pin:
            self._pin.value(on)
        else:
            print("light", on)

    def show(self, word):
        """Show "joining", "joined" or "trouble"."""
        if self._pin is None:
            return
        self._blink_ms = _BLINK_MS.get(word)
        if self._blink_ms is None:
            self._pin.value(self._on)
        elif self._task is None or self._task.done():
            self._task = asyncio.create_task(self._blink())

    async def _blink(self):
        """Blink until the node has joined. A light that fails is tried again when the state changes."""
        try:
            while self._blink_ms:
                self._pin.value(not self._pin.value())
                await asyncio.sleep(self._blink_ms / 1000)
            self._pin.value(self._on)
        except Exception as error:  # of the driver
            print("trouble: led:", type(error).__name__, error)
