# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The manager as a process that is operated: its start, output, alerts, probes and metrics."""
