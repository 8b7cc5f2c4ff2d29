# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What the firmware of ESP32_GENERIC_C3 freezes; ../manifest.py says which options there are."""

include(
    "../manifest.py",
    stock="$(PORT_DIR)/boards/manifest.py",
    profile=options.profile,
    bare=options.bare,
    app=options.app,
)
