# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The pins of this board: pins.json gives them names, such as {"LED": 2}. `dicectl deploy` writes it for boards that it knows."""

import json

from dice import read_file


def find(name, usual=None):
    """Return what pins.json calls `name`; otherwise `usual`, or `name` itself: a number, or a name that the firmware knows."""
    try:
        pins = dict(read_file("pins.json", json.loads) or {})
    except Exception as error:  # it is damaged
        print("trouble: pins.json", type(error).__name__, error)
        pins = {}
    return pins.get(name, name if usual is None else usual)
