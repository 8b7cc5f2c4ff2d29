# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What README.md and docs/ tell people to type exists, their Python compiles, their links lead somewhere."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import rich_click as click

from dicectl.__main__ import cli

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
GUIDE = ROOT / "docs" / "guide.md"
PAGES = [
    README,
    *(ROOT / f"{name}.md" for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY")),
    *sorted((ROOT / "docs").glob("**/*.md")),
]
TARGETS = {".venv/ready", *re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)}  # the first is $(READY)

FOLDERS = {"boards", "docs", "firmware", "host_tests", "lib", "tools"}

BLOCK = re.compile(r"^```([\w-]*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def pages(function):
    """Run a test once for each page."""
    return pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))(function)


def blocks(text, *languages):
    """Return the code blocks in these languages."""
    return [code for language, code in BLOCK.findall(text) if language in languages]


def command_lines(text):
    """Return what stands in shell blocks and as inline code, without prompts, comments and continuation lines."""
    shell = "\n".join(blocks(text, "", "sh", "shell", "bash", "console", "text")).replace("\\\n", " ")
    lines = shell.splitlines() + INLINE.findall(BLOCK.sub("", text))
    return [part.strip() for line in lines for part in re.split(r"&&|;|\|", re.sub(r"^\s*[$#%>]\s|\s#\s.*$", "", line))]


def words_after(program, text):
    """Yield the arguments of each call of `program`."""
    for line in command_lines(text):
        match = re.match(rf"(?:\w+=\S*\s+)*(?:\S*/)?{program}(?:\s+(.*))?$", line)
        if match:
            try:
                yield shlex.split(match[1] or "")
            except ValueError:
                yield match[1].split()


def parse(words):
    """Say what is wrong with the arguments of a dicectl command line; None if nothing is."""
    command = cli
    words = list(words)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        if name in ("...", "\N{HORIZONTAL ELLIPSIS}", "COMMAND"):
            return None
        if name not in command.commands:
            return f"there is no command {name}"
        command = command.commands[name]
    known = {"--help", "-h"} | {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
    for word in words:
        option = word.strip("[]").split("=")[0]
        if re.match(r"--?[a-z]", option) and option not in known:
            return f"there is no option {option}"
    return None


def paths(text):
    """Yield what is written like a path of this repository: with a slash in a shell block, or in its folders elsewhere.

    Not in transcripts ("console"), which happen in a folder of their own.
    """
    shell = [word for code in blocks(text, "sh", "shell", "bash") for word in re.split(r"[\s='\"]+", code) if "/" in word]
    inline = [
        word
        for code in INLINE.findall(BLOCK.sub("", text))
        for word in code.split()
        if word.split("/")[0] in FOLDERS and "/" in word
    ]
    for word in (*shell, *inline):
        if re.fullmatch(r"[\w./-]+", word) and not re.match(r"/|\.venv/", word):
            yield word


def anchors(text):
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+\s+(.+?)\s*$", BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_there_is_a_readme():
    assert README.is_file()


@pages
def test_make_targets_exist(path):
    for words in words_after("make", path.read_text()):
        for word in [] if "-C" in words else words:  # with -C it is another project's make
            assert word.startswith("-") or "=" in word or word in TARGETS, f"make {word}"


@pages
def test_dicectl_commands_exist(path):
    for words in words_after("dicectl", path.read_text()):
        assert parse(words) is None, f"dicectl {' '.join(words)}: {parse(words)}"


@pages
def test_python_compiles(path):
    for code in blocks(path.read_text(), "python", "py"):
        compile(code, str(path), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pages
def test_links_resolve(path):
    text = path.read_text()
    for link in LINK.findall(BLOCK.sub("", text)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), link
        assert not anchor or target.suffix != ".md" or anchor in anchors(target.read_text()), link


@pages
def test_paths_exist(path):
    for name in paths(path.read_text()):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("path, blocks_min", [(README, 1), (GUIDE, 3)], ids=["README", "guide"])
def test_the_code_is_that_of_examples(path, blocks_min):
    """Verbatim: the code that is shown is the code that the tests run."""
    examples = [path.read_text() for path in (ROOT / "firmware" / "examples").glob("*.py")]
    shown = blocks(path.read_text(), "python", "py")
    assert len(shown) >= blocks_min
    for code in shown:
        assert any(code in example for example in examples), code


def test_the_readme_takes_two_minutes():
    """The code comes first, and the whole page has at most 120 lines."""
    lines = README.read_text().splitlines()
    assert len(lines) <= 120
    assert lines.index("```python") < 15
    assert len(blocks(README.read_text(), "python")[0].splitlines()) <= 6


@pages
def test_lines_are_wrapped(path):
    """At 120 columns; tables, code and what is generated are as wide as they are, those of the README at most 130."""
    text = re.sub(r"<!-- generated.*?<!-- end -->", "", BLOCK.sub("", path.read_text()), flags=re.DOTALL)
    for line in text.splitlines():
        if line.startswith("|"):
            assert path != README or len(line) <= 130, line
        else:
            assert len(line) <= 120 or " " not in line.strip().removeprefix("* "), line


def test_the_checks_find_what_is_wrong():
    page = "Type `make teapot` and:\n```sh\n$ dicectl doctor E12  # why\nV=1 .venv/bin/dicectl pour --hot && make test\n```\n"
    assert list(words_after("make", page)) == [["test"], ["teapot"]]
    assert list(words_after("dicectl", page)) == [["doctor", "E12"], ["pour", "--hot"]]
    page = "Not `a/b`, but `cp lib/x`:\n```sh\ncp -r lib/dice : # V=c/d.py=main.py\n.venv/bin/z /dev/null\n```\n"
    assert list(paths(page)) == ["lib/dice", "c/d.py", "lib/x"]
    assert parse(["doctor", "E12"]) is None
    assert parse(["pour", "--hot"]) == "there is no command pour"
    assert parse(["doctor", "--hot"]) == "there is no option --hot"
    assert parse(["--version"]) is None
    assert {"demo", "check", "test", "lint", "bench", "clean", ".venv/ready"} <= TARGETS
    assert anchors("# What it does, and why\n") == {"what-it-does-and-why"}
