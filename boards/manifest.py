# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The frozen modules of every board's firmware: MicroPython's own, dice, and the application of firmware/app.

Each board's manifest.py includes this file. A manifest that includes the board's may set all options but `stock`:

    stock     MicroPython's own manifest of the board
    profile   the profile of dice (lib/manifest.py); "none" leaves out dice
    app       False leaves out the application, which needs the profile "full"
    c_module  True for firmware with the module `_dice`, which is in C; needless with the profile "public-keys"
    esp32     False leaves out what only an ESP32 loads
    bare      of MicroPython's own modules, freeze only those that do not need micropython-lib, which Debian's source lacks
"""

profile = options.profile or "full"

if options.bare:
    freeze("$(PORT_DIR)/modules")
    include("$(MPY_DIR)/extmod/asyncio")
else:
    include(options.stock)

include("../lib/manifest.py", profile=profile, esp32=options.esp32, c_module=options.c_module)

if profile == "full" and options.app is not False:
    include("../firmware/manifest.py")
