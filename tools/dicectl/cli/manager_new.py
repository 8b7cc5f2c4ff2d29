# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl manager new`, and the question of `dicectl manager run` when there is no registry."""

import sys

import rich_click as click

from dicectl.errors import USAGE, CommandError


@click.command()
@click.argument("registry", type=click.Path(dir_okay=False), default="dice.db")
@click.option("--key-file", type=click.Path(dir_okay=False), help="Encrypt it under the key in this file (dicectl manager key).")
@click.option("--dry-run", is_flag=True, help="Say whether it could be created, and create nothing.")
def new(registry, key_file, dry_run):
    """Create a registry without devices and groups, for dicectl manager run.

    \b
    Example:
      dicectl manager new house.db
    """
    from dicectl.manager.registry import new_registry
    from dicectl.manager.registry.key_file import load
    from dicectl.system import require_unix

    require_unix("the group manager")
    key = load(key_file)
    if not dry_run:
        new_registry.create(registry, key)
    elif not new_registry.why_empty(registry):
        raise CommandError(f"{registry} already exists: choose another name", USAGE)
    click.echo(f"{registry} {'would be' if dry_run else 'is'} created: dicectl manager run {registry}")


def admit(registry, key, is_new):
    """Create the registry if it does not exist and the user wants that; raises CommandError if not."""
    from dicectl.manager.registry import new_registry

    why = new_registry.why_empty(registry)
    if not why:
        return
    if not is_new:
        question = f"{registry} {why}. Create a new registry, which knows no device?"
        if not sys.stdin.isatty():
            raise CommandError(
                f"{registry} {why}: look where the registry is, or create one with dicectl manager new {registry}", USAGE
            )
        if not click.confirm(question, err=True):
            raise CommandError("no registry was created", USAGE)
    new_registry.create(registry, key)
