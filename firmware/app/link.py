# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The network of a node: Wi-Fi from wifi.json, such as {"ssid": "house", "password": "..."}; elsewhere it is up already."""

import json
import time

_PATIENCE_S = 20


def up():
    """Bring it up; without a connection go on, since an access point may come back."""
    try:
        import network
    except ImportError:
        return
    with open("wifi.json") as file:
        wifi = json.load(file)
    station = network.WLAN(network.STA_IF)
    station.active(True)
    station.config(pm=0)  # power saving makes an access point hold multicast back
    station.connect(wifi["ssid"], wifi["password"])
    for _ in range(_PATIENCE_S * 10):
        if station.isconnected():
            return
        time.sleep(0.1)
    print("no Wi-Fi yet: check wifi.json")
