# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Mounts the image."""

import port
import vfs

vfs.mount(vfs.VfsLfs2(port.disk, progsize=256), "/")
