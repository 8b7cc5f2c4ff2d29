# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The network of a node: a serial bus if app.json configures one, else Wi-Fi if the board has it, else the system's network.

app.json has {"serial": {"uart": 0, "baud": 115200, "address": "10.77.0.5"}}, wifi.json {"ssid": "house", "password": "..."}.
"""

import json
import time

_PATIENCE_S = 20
_RECEIVED_BYTES = 2500  # a whole packet, which may arrive while the board is busy


def up(options):
    """Bring up the network; return the network for dice: a SlipHost on a bus, else None for the system's UDP."""
    if "serial" in options:
        return _serial(options["serial"])
    try:
        import network
    except ImportError:
        return None
    _wifi(network)
    return None


def ready(options):
    """Return whether names can be looked up. Without a network that would block, for longer than the watchdog waits."""
    try:
        import network
    except ImportError:
        return True
    return "serial" in options or network.WLAN(network.STA_IF).isconnected()


def _serial(options):
    from machine import UART

    from dice import SlipHost

    uart = UART(options.get("uart", 0), options.get("baud", 115200), rxbuf=_RECEIVED_BYTES)
    return SlipHost(uart, options["address"])


def _wifi(network):
    """Connect to the access point; without a connection continue, since it may come back."""
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
