# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Pages, docstrings, comments and messages use the terms of the field (CONTRIBUTING.md, "English"), not phrases of our own.

A phrase is found in the whole text of a file, so also in names, and also if a line ends within it.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What is checked: pages, and all source files of these folders.
PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs", "boards"]
FOLDERS = []
KINDS = {".md", ".py", ".toml", ".cmake", ".c", ".h", ".mk"}

# Phrase: what to write instead. Letters in a phrase match in either case.
PHRASES = {
    "sent again": "retransmitted",
    "send again": "retransmit",
    "sends again": "retransmits",
    "send it again": "retransmit it",
    "let go of": "released, evicted, discarded",
    "lets go of": "releases, evicts, discards",
    "letting go of": "releasing, evicting, discarding",
    "be had": "available; use the verb of the thing",
    "take in": "receive, accept",
    "takes in": "receives, accepts",
    "taken in": "received, accepted",
    "taking in": "receiving, accepting",
    "come to its end": "expired, ended",
    "comes to its end": "expires, ends",
    "came to its end": "expired, ended",
    "come to their end": "expired, ended",
    "come to nothing": "failed",
    "came to nothing": "failed",
    "came to no end": "did not finish",
    "in vain": "timed out",
    "bring forth": "trigger, cause",
    "brings forth": "triggers, causes",
    "brought forth": "triggered, caused",
    "heard of": "received from; known",
    "has heard": "has received",
    "have heard": "have received",
    "hears nothing": "receives nothing",
    "heard nothing": "received nothing",
    "gives way": "is evicted",
    "word of it": "the notification",
    "in words": "as text",
    "throw out": "expel",
    "throw a member out": "expel a member",
    "shut out": "expelled",
    "the center": "the group manager",
    "keeper": "group manager (manager), or gsa_encode",
    "roster": "group state",
    "ledger": "counters",
    "courier": "key delivery",
    "errand": "push",
    "inquiry": "pending request",
    "inhabitant": "virtual node",
    "annex": "emulated node",
    "the house": "the manager process of the demo",
}

# Where a word of the list cannot be avoided, and why.
ALLOWED = {
    "docs/demo.md": {"has heard", "heard nothing"},  # as the demo prints it so far
    "tools/dicectl/manager/registry/sqlite.py": {"roster"},  # tables and columns of registries that exist
}


def pattern(phrase):
    """Return the regular expression of a phrase: whole words, with anything between them that a wrapped line may have."""
    return re.compile(r"(?<![^\W_])" + r"[\s#/*>]+".join(map(re.escape, phrase.split())) + r"s?(?![^\W_])", re.IGNORECASE)


PATTERNS = {phrase: pattern(phrase) for phrase in PHRASES}


def found(text):
    """Yield (line, phrase) of everything in a text that should be said differently."""
    for phrase, expression in PATTERNS.items():
        for match in expression.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, phrase


def files():
    """Return the files that are checked, relative to the root."""
    paths = [path for name in PAGES for path in ([ROOT / name] if name.endswith(".md") else (ROOT / name).rglob("*.md"))]
    paths += [path for name in FOLDERS for path in (ROOT / name).rglob("*") if path.suffix in KINDS]
    return sorted(path.relative_to(ROOT).as_posix() for path in paths if path != Path(__file__).resolve())


@pytest.mark.parametrize("name", files())
def test_terms_of_the_field(name):
    wrong = [
        f"{name}:{line}: {phrase!r}: {PHRASES[phrase]}"
        for line, phrase in sorted(found((ROOT / name).read_text()))
        if phrase not in ALLOWED.get(name, ())
    ]
    assert not wrong, "\n".join(wrong)


def test_what_is_wrong_is_found():
    assert list(found('"""The Keeper\'s\n\nflight is sent\n    # again."""')) == [(3, "sent again"), (1, "keeper")]
    assert not list(found("consent again, presented in vainly, bookkeepers, a house"))
    assert list(found("_keepers = keeper_of")) == [(1, "keeper"), (1, "keeper")]
    for phrase in PHRASES:
        assert phrase in {found_phrase for _, found_phrase in found(f"x {phrase.upper()}.")}
