# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What firmware freezes of the application: all but main.py, since a frozen one would hide that on the board.

A file of the same name on the board goes before a frozen one, so that any part of the application can be changed without building.
"""

for _name in ("link.py", "node.py", "safe.py", "sensors.py", "status.py"):
    module(_name, base_path="app", opt=3)
