# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Text from others, made safe for a terminal; numbers with their nouns; generated blocks of pages."""


def printable(data, keep=""):
    """Return bytes or text from a peer without control characters, which would control the terminal: `\\x1b` instead of ESC.

    Bytes that are not UTF-8 are escaped likewise, and so is what reorders or hides text. Characters in `keep` stay.
    """
    text = data if isinstance(data, str) else bytes(data).decode(errors="backslashreplace")
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def counted(number, noun):
    """Return a number with its noun: 1 member, 2 members."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


_END = "<!-- end -->"


def block_of(page, mark):
    """Return the block of a page between the line `<!-- generated MARK -->` and the next end; None if it has none."""
    _, begin, rest = page.partition(f"<!-- generated {mark} -->\n")
    return rest.partition(_END)[0] if begin else None


def with_block(page, mark, block):
    """Return a page whose block, as of block_of(), is another one; unchanged if it has none."""
    before, begin, rest = page.partition(f"<!-- generated {mark} -->\n")
    return before + begin + block + "".join(rest.partition(_END)[1:]) if begin else page
