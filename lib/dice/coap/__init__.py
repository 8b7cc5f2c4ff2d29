# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The Constrained Application Protocol (RFC 7252), bytes in and bytes out: it knows nothing of DTLS, groups or sockets."""
