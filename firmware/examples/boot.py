# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Connects to the Wi-Fi of wifi.json, such as {"ssid": "house", "password": "..."}, so that no program contains a password."""

import json
import time

import network

_PATIENCE_S = 20

with open("wifi.json") as file:
    wifi = json.load(file)
station = network.WLAN(network.STA_IF)
station.active(True)
station.config(pm=0)  # power saving makes an access point hold multicast back
station.connect(wifi["ssid"], wifi["password"])
for _ in range(_PATIENCE_S * 10):
    if station.isconnected():
        break
    time.sleep(0.1)
else:
    print("no Wi-Fi: check wifi.json")
