# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The frozen modules of RPI_PICO; ../manifest.py explains the options."""

include(
    "../manifest.py",
    stock="$(PORT_DIR)/boards/manifest.py",
    profile=options.profile,
    bare=options.bare,
    app=options.app,
    c_module=options.c_module,
    esp32=False,
)
