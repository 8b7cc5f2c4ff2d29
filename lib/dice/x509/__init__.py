# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""X.509 certificates by the profile of RFC 7925, section 4.4: `der` reads DER, `certificate` a certificate, `chain` verifies one.

Nothing here has a socket or a clock. Every failure is a PeerError with the alert that it deserves.
"""
