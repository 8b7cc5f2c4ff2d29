# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Which of several managers on one database leads, and what a manager does that may be superseded."""
