# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Writes docs/interop.md if that was requested and every test passed."""

from host_tests.interop import report


def pytest_sessionfinish(session, exitstatus):
    if report.wanted() and exitstatus == 0:
        report.write()
