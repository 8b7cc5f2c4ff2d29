# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Mounts the image."""

import vfs

import port

vfs.mount(vfs.VfsLfs2(port.disk, progsize=256), "/")
