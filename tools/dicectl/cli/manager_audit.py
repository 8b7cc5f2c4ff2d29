# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl manager audit`: print, export and prune the audit log."""

import json

import rich_click as click

from dicectl.cli.options import Period
from dicectl.errors import FAILED, NO_DEVICE, USAGE, CommandError


class Moment(click.ParamType):
    """A time that has passed: 90s, 45m, 12h or 30d ago, or a date such as 2026-11-30 or 2026-11-30T15:00."""

    name = "when"

    def convert(self, value, param, ctx):
        """Return seconds since 1970."""
        import datetime
        import time

        try:
            return datetime.datetime.fromisoformat(value).timestamp()
        except ValueError:
            pass
        try:
            return time.time() - Period().convert(value, param, ctx)
        except click.BadParameter:
            return self.fail(f"{value} is no time: write 12h or 30d for that long ago, or a date such as 2026-11-30")


@click.command()
@click.argument("registry", default="dice.db", envvar="DICE_MANAGER")
@click.option("--since", type=Moment(), help="Only entries since then: 12h or 30d ago, or a date such as 2026-11-30.")
@click.option("--last", type=click.IntRange(1), help="Only so many entries, the last ones.")
@click.option("--export", type=click.Path(dir_okay=False), help="Write JSON lines to this new file, which only you can read.")
@click.option("--prune", type=Moment(), help="Delete entries from before then; with --export, after they are in its file.")
@click.option("--keep", type=Period(zero=True), help="Let the manager prune by itself what is older, such as 365d; 0: nothing.")
@click.option("--dry-run", is_flag=True, help="Tell how many entries --prune would delete.")
@click.option(
    "--control", type=click.Path(dir_okay=False), help="Path of the running manager's control socket, if REGISTRY is a URL."
)
@click.option(
    "--key-file", type=click.Path(dir_okay=False), help="Key file of an encrypted registry, for --prune without a manager."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each entry.")
def audit(registry, since, last, export, prune, keep, dry_run, control, key_file, as_json):
    """Print the audit log: when devices were added, expelled and given keys. It contains no secrets.

    An entry is stored together with the change that it describes, and cannot be changed later. Entries that are pruned leave one
    that says so, and the numbers go on. A running manager prunes acknowledgements after 30 days by itself, and all entries
    after the time that --keep has set.

    \b
    Examples:
      dicectl manager audit house.db --last 20
      dicectl manager audit house.db --since 2026-11-01 --json
      dicectl manager audit house.db --prune 365d --export house-2025.jsonl
      dicectl manager audit house.db --keep 730d
    """
    if dry_run and prune is None:
        raise CommandError("--dry-run is for --prune, which tells since when entries are kept", USAGE)
    if prune is not None and (since is not None or last):
        raise CommandError("--prune deletes all entries from before a time: leave --since and --last out", USAGE)
    if keep is not None:
        _keep(registry, control, keep, key_file)
        click.echo(f"entries are kept {f'for {keep // 86_400} days' if keep else 'without limit'}", err=True)
        if prune is None and not export:
            return
    entries = _selected(registry, since, prune, last)
    if export and not dry_run:
        click.echo(f"{_export(export, entries)} entries are in {export}", err=True)
    if prune is None:
        if not export:
            _print(entries, as_json)
        return
    count = sum(1 for _ in entries) if dry_run else _prune(registry, control, prune, key_file)
    if as_json:
        click.echo(json.dumps({"pruned": count, "dry_run": dry_run}))
    else:
        click.echo(f"{count} entries {'would be' if dry_run else 'are'} deleted")


def _selected(registry, since, before, last):
    """Yield entries, which are read in parts."""
    from collections import deque

    from dicectl.manager.registry.opening import audit_entries

    entries = audit_entries(registry)
    if since is not None:
        entries = (entry for entry in entries if entry["at"] >= since)
    if before is not None:
        entries = (entry for entry in entries if entry["at"] < before)
    return iter(deque(entries, maxlen=last)) if last else entries


def _print(entries, as_json):
    from dicectl.manager.operating.dashboard import line

    for entry in entries:
        click.echo(json.dumps(entry) if as_json else line(entry))


def _export(path, entries):
    """Write entries to a new file durably; return how many."""
    import os

    from dicectl import private_file

    count = 0
    try:
        with private_file.create(path) as file:
            for entry in entries:
                file.write(json.dumps(entry).encode() + b"\n")
                count += 1
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise CommandError(f"{path} already exists: choose another name", USAGE)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}")
    return count


def _prune(name, socket, before, key_path):
    """Delete entries, by the running manager if there is one; return how many."""
    count = 0
    while True:
        answer = _by_manager(name, socket, "prune", before=before)
        if answer is None:
            return _by_itself(name, key_path, lambda opened: opened.prune(before))
        count += answer["pruned"]
        if not answer["more"]:
            return count


def _keep(name, socket, keep_s, key_path):
    """Set how long entries are kept, in the running manager if there is one."""
    from dicectl.manager.registry import retention

    if _by_manager(name, socket, "audit_keep", keep_s=keep_s) is None:
        _by_itself(name, key_path, lambda opened: retention.keep(opened, keep_s))


def _by_manager(name, socket, do, **request):
    """Return the answer of the running manager, or None if there is none."""
    from dicectl.manager import control
    from dicectl.manager.registry.opening import is_database

    try:
        return control.call(socket or ("dice.db" if is_database(name) else name), do, **request)
    except CommandError as failure:
        if failure.exit_code != NO_DEVICE:
            raise
        return None


def _by_itself(name, key_path, change):
    """Change a registry that no manager has open; return what `change(registry)` does."""
    from pathlib import Path

    from dicectl.manager.registry import key_file
    from dicectl.manager.registry.base import RegistryError
    from dicectl.manager.registry.opening import is_database, open_registry

    if not is_database(name) and not Path(name).exists():
        raise CommandError(f"there is no {name}: name the file that `dicectl manager run` uses", USAGE)
    opened = open_registry(name, key=key_file.load(key_path))
    try:
        return change(opened)
    except RegistryError as error:
        raise CommandError(f"the registry cannot be written ({error}): nothing was changed", FAILED)
    finally:
        opened.close()
