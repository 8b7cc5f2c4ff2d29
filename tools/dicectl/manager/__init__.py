# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The group manager as a service: what it does for devices, groups and the commands of an operator."""
