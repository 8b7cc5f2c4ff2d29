# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The lines that a running manager prints: plain text, a JSON object each, or text with the priorities of systemd's journal."""

import json
import os
import sys

PLAIN, JSON, JOURNAL = FORMATS = ("plain", "json", "journal")
INFO, WARNING = "info", "warning"
_PRIORITIES = {INFO: 6, WARNING: 4}  # of syslog


def chosen(asked, stream=None):
    """Return the format: `asked`, or without it journal if stdout, or `stream`, goes to systemd's journal, and else plain."""
    if asked:
        return asked
    try:
        about = os.fstat((stream or sys.stdout).fileno())
    except (OSError, ValueError):
        return PLAIN
    return JOURNAL if os.environ.get("JOURNAL_STREAM") == f"{about.st_dev}:{about.st_ino}" else PLAIN


def formatted(log_format, level, text, fields):
    """Return a line: `text` for people, or `fields` as JSON. A journal has its own times, so `text` has none there."""
    if log_format == JSON:
        return json.dumps({"level": level, **fields})
    return f"<{_PRIORITIES[level]}>{text}" if log_format == JOURNAL else text
