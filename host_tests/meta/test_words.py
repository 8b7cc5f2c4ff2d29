# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Pages, docstrings, comments and messages use the terms of the field (CONTRIBUTING.md, "English"), not phrases of our own.

A phrase is found in the whole text of a file, so also in names, and also if a line ends within it.
"""

import functools
import re
from pathlib import Path

from host_tests.each import each

ROOT = Path(__file__).resolve().parents[2]

# Pages are checked, and all source files of these folders and files.
PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs"]
FOLDERS = ["lib/dice", "lib/manifest.py", "firmware", "host_tests", "tools", "boards", ".ci", "Makefile"]
KINDS = {".md", ".py", ".pyi", ".toml", ".yml", ".sh", ".cmake", ".c", ".h", ".mk"}
WITHOUT_SUFFIX = {"Makefile", "run"}

# Phrase: the words to use instead. Letters in a phrase match in either case; … stands for some words within a sentence.
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
    "is heard": "is received",
    "are heard": "are received",
    "be heard": "be received",
    "was heard": "was received",
    "were heard": "were received",
    "is told": "is notified, gets",
    "are told": "are notified, get",
    "be told": "be notified, get",
    "was told": "was notified, got",
    "were told": "were notified, got",
    "for ever": "forever, endlessly",
    "what stands": "the content, the text",
    "of its own accord": "unprompted",
    "shake hands": "perform a handshake",
    "comes again": "is repeated",
    "come again": "be repeated",
    "came again": "was repeated",
    "has heard": "has received",
    "have heard": "have received",
    "been told": "been notified, got",
    "hears": "receives",
    "heard nothing": "received nothing",
    "gives way": "is evicted",
    "word of it": "the notification",
    "hand in": "pass",
    "where … is None": "if … is None",
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

# Files in which a phrase of the list cannot be avoided, and why.
ALLOWED = {
    # Tables and columns of registries that exist.
    "tools/dicectl/manager/registry/migrations/versions/version_3.py": {"roster"},
    "tools/dicectl/manager/registry/sqlite.py": {"roster"},
    "tools/dicectl/manager/registry/backup.py": {"roster"},
    "host_tests/unit/test_registry_migrations.py": {"roster"},
}


@functools.lru_cache(None)
def pattern(phrase):
    """Return the regular expression of a phrase: whole words, separated by whatever a wrapped line has between them."""
    words = [r"[^.:;()]{1,60}?" if word == "…" else re.escape(word) for word in phrase.split()]
    return re.compile(r"(?<![^\W_])" + r"[\s#/*>]+".join(words) + r"s?(?![^\W_])", re.IGNORECASE)


def found(text):
    """Yield (line, phrase) of every phrase of the list in a text. Only phrases are searched for whose words the text has."""
    words = set(re.findall(r"[^\W_]+", text.lower()))
    words |= {"…", *(word.removesuffix("s") for word in words)}
    for phrase in PHRASES:
        if words.issuperset(phrase.lower().split()):
            for match in pattern(phrase).finditer(text):
                yield text.count("\n", 0, match.start()) + 1, phrase


def sources():
    """Return the source files that are checked."""
    folders = [ROOT / name for name in FOLDERS]
    paths = [path for folder in folders for path in ([folder] if folder.is_file() else folder.rglob("*"))]
    paths = [path for path in paths if path.suffix in KINDS or path.name in WITHOUT_SUFFIX]
    return sorted(path for path in paths if path != Path(__file__).resolve())


def files():
    """Return the checked files, relative to the root."""
    paths = [path for name in PAGES for path in ([ROOT / name] if name.endswith(".md") else (ROOT / name).rglob("*.md"))]
    paths += sources()
    return sorted(path.relative_to(ROOT).as_posix() for path in paths if path != Path(__file__).resolve())


@each(files())
def test_no_phrase_of_the_list_is_used(name):
    wrong = [
        f"{name}:{line}: {phrase!r}: {PHRASES[phrase]}"
        for line, phrase in sorted(found((ROOT / name).read_text()))
        if phrase not in ALLOWED.get(name, ())
    ]
    assert not wrong, "\n".join(wrong)


# A docstring, comment or sentence that opens with a relative clause, as in "What is sent is kept". A question may.
OPENING = re.compile(r"""(?:\"{3}|#\s|[.:]\s+|[.:]\n\n\s*)(?:Whom?|Whose|What|Whoever|Whatever|Wherever)\s(?![^.:\"]*\?)""")


@each([path for path in sources() if path.suffix == ".py"])
def test_no_sentence_opens_with_a_relative_clause(path):
    text = path.read_text()
    lines = [text.count("\n", 0, match.start()) + 1 for match in OPENING.finditer(text)]
    assert not lines, f"{path}: lines {lines}: begin with the subject"


def test_phrases_are_found_also_in_names_and_across_lines():
    assert list(found('"""The Keeper\'s\n\nflight is sent\n    # again."""')) == [(3, "sent again"), (1, "keeper")]
    assert not list(found("consent again, presented in vainly, bookkeepers, a house"))
    assert list(found("_keepers = keeper_of")) == [(1, "keeper"), (1, "keeper")]
    for phrase in PHRASES:
        assert phrase in {found_phrase for _, found_phrase in found(f"x {phrase.upper()}.")}


def test_opening_relative_clauses_are_found():
    for text in ('"""What is sent."""', "x = 1  # Who asks", "It ends. Whom nobody knows", "It ends:\n\n    Whoever asks"):
        assert OPENING.search(text), text
    for text in ("# What is a record? A datagram", "say what is sent", '"""Whole."""'):
        assert not OPENING.search(text), text
