# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl manager backup` and `restore`: copies of a registry that is a file."""

import json

import rich_click as click

from dicectl.text import counted

_HELD = {"group": "group", "device": "device", "member": "membership"}
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def _held(contents):
    """Return what a registry holds, as text."""
    import datetime

    last = datetime.datetime.fromtimestamp(contents["last"]).isoformat(" ", "seconds") if contents["last"] else "never"
    held = ", ".join(counted(contents[f"{what}s"], noun) for what, noun in _HELD.items())
    return f"{held}; changed last {last}"


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.argument("registry", default="dice.db", envvar="DICE_MANAGER")
@_json
def backup(file, registry, as_json):
    """Copy REGISTRY to the new FILE, also while a manager runs on it. The copy is verified.

    FILE contains the keys of all devices and groups, and only its owner can read it. If the registry is encrypted, so is FILE: keep
    a copy of the key file elsewhere. A registry in PostgreSQL is copied by pg_dump.

    \b
    Example:
      dicectl manager backup /mnt/backup/house-monday.db house.db
    """
    from dicectl.manager.registry import backup as copies

    contents = copies.make(registry, file)
    click.echo(json.dumps({"file": file, **contents}) if as_json else f"{file}: {_held(contents)}")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.argument("registry", default="dice.db", envvar="DICE_MANAGER")
@click.option("--dry-run", is_flag=True, help="Verify FILE, and change nothing.")
@_json
def restore(file, registry, dry_run, as_json):
    """Make REGISTRY of the copy FILE. No manager may run on it. A former REGISTRY is kept, under another name.

    REGISTRY may be an empty database, to move from a file to PostgreSQL. A database that pg_restore has filled is accepted as a
    copy by its URL in both places; without that, its manager does not know that it works on a copy.

    At its next start the manager begins new keys in all groups, and when members report that they are further, it goes on from
    there. Devices that were expelled since the copy was made are members again: expel them again. Devices that were added since are
    unknown: provision them again.

    \b
    Examples:
      dicectl manager restore /mnt/backup/house-monday.db house.db
      dicectl manager restore house.db house.db                     (accept a copy that was made by other means)
      dicectl manager restore house.db postgresql://dice@db.example.org/dice
    """
    from dicectl.manager.registry import backup as copies

    contents, aside = copies.restore(file, registry, dry_run)
    if as_json:
        click.echo(json.dumps({"registry": registry, "former": aside, **contents}))
        return
    click.echo(f"{registry} {'would be' if dry_run else 'is'} {file}: {_held(contents)}")
    if aside:
        click.echo(f"the former one is {aside}; delete it when you do not need it any more: it has keys")
    if not dry_run:
        click.echo("devices that were expelled since are members again: dicectl group members, dicectl group remove")
