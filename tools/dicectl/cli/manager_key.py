# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl manager key`, `encrypt` and `decrypt`: the keys in a registry, encrypted under that of a key file."""

import rich_click as click

from dicectl.errors import FAILED, USAGE, CommandError

_registry = click.argument("registry")
_dry_run = click.option("--dry-run", is_flag=True, help="Check everything, and change nothing.")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
def key(file):
    """Create a key file: 32 random bytes in a new FILE that only you can read.

    Keep a copy where you keep no copy of the registry: without the key file, the registry is lost. A systemd service gets it by
    LoadCredential=dice-key:FILE, or encrypted to this computer (systemd-creds encrypt) by LoadCredentialEncrypted=.

    \b
    Example:
      dicectl manager key /etc/dice/house.key
      dicectl manager encrypt house.db --key-file /etc/dice/house.key
      dicectl manager run house.db --key-file /etc/dice/house.key
    """
    from dicectl.manager.registry import key_file

    key_file.create(file)
    click.echo(f"the key is in {file}")


@click.command()
@_registry
@click.option("--key-file", required=True, type=click.Path(dir_okay=False), help="The new key file.")
@click.option("--old-key-file", type=click.Path(dir_okay=False), help="The present one, if REGISTRY is encrypted already.")
@_dry_run
def encrypt(registry, key_file, old_key_file, dry_run):
    """Encrypt the keys of devices and groups in REGISTRY, or change its key. No manager may run on it.

    After a change of the key, older copies of the registry, and what a database or a disk still has of deleted keys, can be read
    with the old key file only: destroy it.

    \b
    Examples:
      dicectl manager encrypt house.db --key-file house.key
      dicectl manager encrypt house.db --key-file new.key --old-key-file house.key
    """
    from dicectl.manager.registry.key_file import load

    new = load(key_file)
    old = load(old_key_file) if old_key_file else None
    if new == old:
        raise CommandError("both key files contain the same key: create another one with dicectl manager key", USAGE)
    _reseal(registry, old, new, dry_run)
    click.echo(f"the keys in {registry} {'would be' if dry_run else 'are'} encrypted under {key_file}")


@click.command()
@_registry
@click.option("--key-file", required=True, type=click.Path(dir_okay=False), help="The present key file.")
@_dry_run
def decrypt(registry, key_file, dry_run):
    """Store the keys of devices and groups in REGISTRY in clear again. No manager may run on it.

    \b
    Example:
      dicectl manager decrypt house.db --key-file house.key
    """
    from dicectl.manager.registry.key_file import load

    _reseal(registry, load(key_file), None, dry_run)
    click.echo(f"the keys in {registry} {'would be' if dry_run else 'are'} in clear")


def _reseal(name, old, new, dry_run):
    from pathlib import Path

    from dicectl.manager.registry.base import RegistryError
    from dicectl.manager.registry.opening import is_database, open_registry

    if not is_database(name) and not Path(name).exists():
        raise CommandError(f"there is no {name}", USAGE)
    opened = open_registry(name, key=old)
    try:
        if not dry_run:
            opened.reseal(new)
            opened.checkpoint()
    except RegistryError as error:
        raise CommandError(f"{name} cannot be changed ({error}): its keys are as they were", FAILED)
    finally:
        opened.close()
