# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What the firmware of RPI_PICO2_W freezes; ../manifest.py says which options there are."""

include(
    "../manifest.py",
    stock="$(PORT_DIR)/boards/RPI_PICO2_W/manifest.py",
    profile=options.profile,
    bare=options.bare,
    app=options.app,
)
