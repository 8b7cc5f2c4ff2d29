# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The commands and paths in README.md and docs/ exist, their Python compiles, and their links resolve."""

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
# The first one is $(READY).
TARGETS = {".venv/ready", *re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)}

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
    """Return the lines of shell blocks and the inline code, without prompts, comments and line continuations."""
    shell = "\n".join(blocks(text, "", "sh", "shell", "bash", "console", "text")).replace("\\\n", " ")
    lines = shell.splitlines() + INLINE.findall(BLOCK.sub("", text))
    return [part.strip() for line in lines for part in re.split(r"&&|;|\|", re.sub(r"^\s*[$#%>]\s|\s#\s.*$", "", line))]


def arguments_of(program, text):
    """Yield the arguments of each call of `program`."""
    for line in command_lines(text):
        match = re.match(rf"(?:\w+=\S*\s+)*(?:\S*/)?{program}(?:\s+(.*))?$", line)
        if match:
            try:
                yield shlex.split(match[1] or "")
            except ValueError:
                yield match[1].split()


def parse(arguments):
    """Return the error in the arguments of a dicectl command line, or None."""
    command = cli
    arguments = list(arguments)
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        name = arguments.pop(0)
        if name in ("...", "\N{HORIZONTAL ELLIPSIS}", "COMMAND"):
            return None
        command = command.get_command(None, name)
        if command is None:
            return f"there is no command {name}"
    known = {"--help", "-h"} | {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
    for word in arguments:
        option = word.strip("[]").split("=")[0]
        if re.match(r"--?[a-z]", option) and option not in known:
            return f"there is no option {option}"
    return None


def paths(text):
    """Yield the paths of this repository: words with a slash in shell blocks, elsewhere words that begin with a folder of it.

    Transcripts ("console") are left out: they were made in a folder of their own.
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
    """Return the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+\s+(.+?)\s*$", BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_exists():
    assert README.is_file()


@pages
def test_make_targets_exist(path):
    for arguments in arguments_of("make", path.read_text()):
        for word in [] if "-C" in arguments else arguments:  # with -C it is the make of another project
            assert word.startswith("-") or "=" in word or word in TARGETS, f"make {word}"


@pages
def test_dicectl_commands_and_options_exist(path):
    for arguments in arguments_of("dicectl", path.read_text()):
        assert parse(arguments) is None, f"dicectl {' '.join(arguments)}: {parse(arguments)}"


@pages
def test_python_blocks_compile(path):
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
def test_python_blocks_are_parts_of_the_examples(path, blocks_min):
    """Verbatim, so the code on the page is code that the tests run."""
    examples = [path.read_text() for path in (ROOT / "firmware" / "examples").glob("*.py")]
    shown = blocks(path.read_text(), "python", "py")
    assert len(shown) >= blocks_min
    for code in shown:
        assert any(code in example for example in examples), code


def test_the_readme_shows_code_early_and_is_short():
    """The code comes first, and the whole page has at most 120 lines."""
    lines = README.read_text().splitlines()
    assert len(lines) <= 120
    assert lines.index("```python") < 15
    assert len(blocks(README.read_text(), "python")[0].splitlines()) <= 6


@pages
def test_lines_are_wrapped(path):
    """At 120 columns. Tables, code and generated text may be wider; tables of the README have at most 130 columns."""
    text = re.sub(r"<!-- generated.*?<!-- end -->", "", BLOCK.sub("", path.read_text()), flags=re.DOTALL)
    for line in text.splitlines():
        if line.startswith("|"):
            assert path != README or len(line) <= 130, line
        else:
            assert len(line) <= 120 or " " not in line.strip().removeprefix("* "), line


def test_the_checks_of_this_file_find_errors():
    page = "Type `make teapot` and:\n```sh\n$ dicectl doctor E12  # why\nV=1 .venv/bin/dicectl pour --hot && make test\n```\n"
    assert list(arguments_of("make", page)) == [["test"], ["teapot"]]
    assert list(arguments_of("dicectl", page)) == [["doctor", "E12"], ["pour", "--hot"]]
    page = "Not `a/b`, but `cp lib/x`:\n```sh\ncp -r lib/dice : # V=c/d.py=main.py\n.venv/bin/z /dev/null\n```\n"
    assert list(paths(page)) == ["lib/dice", "c/d.py", "lib/x"]
    assert parse(["doctor", "E12"]) is None
    assert parse(["pour", "--hot"]) == "there is no command pour"
    assert parse(["doctor", "--hot"]) == "there is no option --hot"
    assert parse(["--version"]) is None
    assert {"demo", "check", "test", "lint", "bench", "clean", ".venv/ready"} <= TARGETS
    assert anchors("# How it works, and why\n") == {"how-it-works-and-why"}
