# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""docs/troubleshooting.md lists every reason code, and the messages in its headings are those that programs print."""

import re
from pathlib import Path

from dicectl.reasons import SENTENCES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
_HEADING = re.compile(r"^### .*?(``.+?``|`.+?`)", re.MULTILINE)


def test_every_reason_code_is_listed_once():
    """In the table at the end. No other code occurs on the page."""
    table = re.findall(r"\bE\d+\b", PAGE.split("## All reason codes")[1])
    assert table == [f"E{code}" for code in sorted(SENTENCES)]
    assert set(re.findall(r"\bE\d+\b", PAGE)) == set(table)


def test_the_quoted_messages_occur_in_the_sources():
    """A heading quotes a message or a search term. It occurs in the sources, unless it is a name of Python or MicroPython."""
    sources = "\n".join(path.read_text() for folder in ("lib", "tools", "firmware") for path in (ROOT / folder).rglob("*.py"))
    not_ours = ("OSError", "MemoryError", "ImportError", "ValueError", "E33", "cryptolib", "dice.join")
    for quoted in _HEADING.findall(PAGE):
        message = quoted.strip("`") if not quoted.startswith("``") else quoted[2:-2].strip()
        if not message.startswith(not_ours):
            for part in message.split("..."):
                assert part.strip() in sources, message
