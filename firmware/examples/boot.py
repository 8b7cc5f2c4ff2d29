# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Connects to the Wi-Fi of wifi.json, such as {"ssid": "house", "password": "..."}, so that no program contains a password.

After a power failure an access point needs longer than a board, and it may be away later: a timer looks after the connection.
"""

import json
import sys
import time

import network
from machine import Timer

_PATIENCE_S = 20
_LOOK_MS = 20_000  # enough for one connection

station = network.WLAN(network.STA_IF)


def connect(anew=False):
    """Begin to connect; what fails is printed, and may work the next time."""
    try:
        with open("wifi.json") as file:
            wifi = json.load(file)
        if anew:
            station.active(False)  # it may be stuck
        station.active(True)
        station.config(pm=0)  # power saving makes an access point hold multicast back
        station.connect(wifi["ssid"], wifi["password"])
    except Exception as error:
        print("Wi-Fi:", error)


def look(_timer):
    """Connect again if the connection was lost."""
    if not station.isconnected():
        connect(True)


connect()
for _ in range(_PATIENCE_S * 10):
    if station.isconnected():
        break
    time.sleep(0.1)
else:
    print("no Wi-Fi yet: check wifi.json")
timer = Timer(-1 if sys.platform == "rp2" else 0, period=_LOOK_MS, callback=look)  # an ESP32 has no timer -1
