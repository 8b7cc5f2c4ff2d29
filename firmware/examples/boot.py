# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Connects to the Wi-Fi of wifi.json, such as {"ssid": "house", "password": "..."}, so that no program contains a password.

After a power failure an access point needs longer than a board, and it may be away later: a timer looks after the connection.
"""

import json
import time

from machine import Timer

_PATIENCE_S = 20
_LOOK_MS = 20_000  # enough for one connection


def interface():
    """Return the Wi-Fi interface, or None if this firmware has none."""
    try:
        import network

        return network.WLAN(network.STA_IF)
    except (ImportError, AttributeError):
        print("no Wi-Fi in this firmware: boot.py does nothing")
        return None


def connect(anew=False):
    """Begin to connect; what fails is printed once, and may work the next time."""
    global trouble
    try:
        with open("wifi.json") as file:
            wifi = json.load(file)
        if anew:
            station.active(False)  # it may be stuck
        station.active(True)
        try:
            station.config(pm=0)  # power saving makes an access point hold multicast back
        except (OSError, ValueError) as error:  # a driver without this option connects without it
            if not anew:
                print("Wi-Fi: power saving stays on:", error)
        station.connect(wifi["ssid"], wifi["password"])
        trouble = None
    except Exception as error:
        if str(error) != trouble:  # the timer comes here every 20 s
            print("Wi-Fi:", error)
        trouble = str(error)


def look(_timer):
    """Connect again if the connection was lost."""
    if not station.isconnected():
        connect(True)


def watch():
    """Look regularly; return the timer. An ESP32 may have no timer -1, others have no timer 0."""
    for number in (0, -1):
        try:
            return Timer(number, period=_LOOK_MS, callback=look)
        except ValueError as error:
            refused = error
    print("Wi-Fi: there is no timer to look after it:", refused)
    return None


trouble = None  # what connect() has printed last
station = interface()
if station:
    connect()
    for _ in range(_PATIENCE_S * 10):
        if station.isconnected():
            break
        time.sleep(0.1)
    else:
        print("no Wi-Fi yet: check wifi.json")
    timer = watch()
