# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What every board's firmware freezes: what MicroPython's own does, dice, and the application of firmware/app.

A board's manifest.py includes this. Options, all but `stock` for a manifest that includes the board's:

    stock     MicroPython's own manifest of the board
    profile   which of dice's modules, see lib/manifest.py; "none" leaves out dice
    app       False leaves out the application, which needs the profile "full"
    bare      freeze of MicroPython's own only what needs no micropython-lib, which Debian's source leaves out
"""

profile = options.profile or "full"

if options.bare:
    freeze("$(PORT_DIR)/modules")
    include("$(MPY_DIR)/extmod/asyncio")
else:
    include(options.stock)

include("../lib/manifest.py", profile=profile)

if profile == "full" and options.app is not False:
    include("../firmware/manifest.py")
