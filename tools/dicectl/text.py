# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Text from others, made safe for a terminal."""


def printable(data, keep=""):
    """Return bytes or text from a peer without control characters, which would control the terminal: `\\x1b` instead of ESC.

    Bytes that are not UTF-8 are escaped likewise, and so is what reorders or hides text. Characters in `keep` stay.
    """
    text = data if isinstance(data, str) else bytes(data).decode(errors="backslashreplace")
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def counted(number, noun):
    """Return a number with its noun: 1 member, 2 members."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
