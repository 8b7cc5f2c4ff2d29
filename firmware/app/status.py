# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The light of the node, which also shows its state: it blinks fast in trouble, and slowly while the node joins."""

import sys

_BLINK_MS = {"trouble": 100, "joining": 500}


class Led:
    """An LED on a pin, by number or name; a line on the console if `pin` is None."""

    def __init__(self, pin):
        self._pin = None
        self._timer = None
        self._on = False
        if pin is not None:
            from machine import Pin

            self._pin = Pin(pin, Pin.OUT)

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
        from machine import Timer

        if self._timer:
            self._timer.deinit()
            self._timer = None
        if word in _BLINK_MS:
            number = -1 if sys.platform == "rp2" else 0  # a timer of software, which an ESP32 has not
            self._timer = Timer(number, period=_BLINK_MS[word], callback=lambda _: self._pin.value(not self._pin.value()))
        else:
            self._pin.value(self._on)
