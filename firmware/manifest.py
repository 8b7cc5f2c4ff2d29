# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The frozen part of the application: all modules but main.py, since a frozen main.py would hide the one on the board.

A file on the board takes precedence over a frozen module of the same name, so any part of the application can be replaced without a
build.
"""

_NAMES = ("buttons.py", "link.py", "managers.py", "names.py", "node.py", "pins.py", "safe.py", "sensors.py", "status.py")
for _name in _NAMES:
    module(_name, base_path="app", opt=3)
