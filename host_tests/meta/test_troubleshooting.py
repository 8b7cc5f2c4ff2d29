# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""docs/troubleshooting.md names every reason code, and the messages that it explains are those that programs print."""

import re
from pathlib import Path

from dicectl.reasons import SENTENCES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
_HEADING = re.compile(r"^### .*?(``.+?``|`.+?`)", re.MULTILINE)


def test_every_reason_code_is_named():
    """In the table at the end, once each; and no other code is anywhere on the page."""
    table = re.findall(r"\bE\d+\b", PAGE.split("## All reason codes")[1])
    assert table == [f"E{code}" for code in sorted(SENTENCES)]
    assert set(re.findall(r"\bE\d+\b", PAGE)) == set(table)


def test_messages_are_those_of_the_programs():
    """A heading quotes what a user sees, or searches for: it is in the source, but for names of Python and MicroPython."""
    sources = "\n".join(path.read_text() for folder in ("lib", "tools", "firmware") for path in (ROOT / folder).rglob("*.py"))
    not_ours = ("OSError", "MemoryError", "ImportError", "ValueError", "E33", "cryptolib", "dice.join")
    for quoted in _HEADING.findall(PAGE):
        message = quoted.strip("`") if not quoted.startswith("``") else quoted[2:-2].strip()
        if not message.startswith(not_ours):
            for part in message.split("..."):
                assert part.strip() in sources, message
