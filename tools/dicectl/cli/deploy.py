# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl deploy`: copies dice and your program to a connected board, skipping files that are up to date."""

import contextlib

import rich_click as click

from dicectl.cli.options import complete_port, complete_profile


def _to(_context, _parameter, value):
    folder = value.removeprefix(":").strip("/")
    if any(part in ("", ".", "..") for part in folder.split("/")) and folder:
        raise click.BadParameter(f"{value} is not a folder of the board, such as : or :lib")
    return f"/{folder}" if folder else ""


def _known(_context, _parameter, value):
    from dicectl.firmware import profiles

    if value not in profiles.names():
        raise click.BadParameter(f"{value} is no profile; choose one of {', '.join(profiles.names())}")
    return value


@click.command("deploy")
@click.argument("paths", metavar="[PATH...]", nargs=-1, type=click.Path())
@click.option("--port", shell_complete=complete_port, help="The board's serial port.  [default: the only one with USB]")
@click.option("--to", default=":", show_default=True, callback=_to, metavar=":FOLDER", help="Folder on the board, such as :lib.")
@click.option(
    "--profile",
    default="full",
    show_default=True,
    shell_complete=complete_profile,
    callback=_known,
    help="Modules of dice: full, public-keys, psk, group or none (lib/manifest.py).",
)
@click.option(
    "--native",
    type=click.Choice(["small", "fast", "none"]),
    help="The module _dice beside dice, with P-256 and AES-CCM in C: fast, small (10 KB less) or none.  [default: fast with "
    "public-keys, else none]",
)
@click.option("--files", "as_files", is_flag=True, help="Copy dice as a folder of files, which takes more flash, not as one file.")
@click.option("--force", is_flag=True, help="Copy dice even if the firmware has it frozen.")
@click.option("--no-check", is_flag=True, help="Copy a program even if firmware or profile lack what it needs.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(paths, port, to, profile, native, as_files, force, no_check, dry_run, as_json):
    """Copy dice and a program to a connected board: only what changed, verified by its hash.

    dice is one file, dice.mpy, because each file takes whole blocks of flash. Of one that is there already, only the modules that
    changed are sent; the board writes the file anew. A folder dice of an earlier deploy is replaced by it. If your own files are in
    that folder, it stays a folder.

    PATH is a file or a folder; PATH=NAME copies it under another name. Python files are compiled for the board's MicroPython,
    except main.py and boot.py, which boards run as source. Files are written under temporary names, verified, and then renamed
    together. If a module exists as both .py and .mpy, the outdated form is removed, because the board could import it instead. The
    board's program is interrupted, and restarts at the end.

    With the profile public-keys, the module _dice for the board's processor is copied too, and an old one is removed; an installed
    dicectl has it, one in a clone compiles it. Firmware of ours with public keys has it built in.

    Files with keys that no device may have are refused, whatever their names are: a registry, a group file, the key of an authority
    or of a registry. So are two GSAs of one group, and a .json that cannot be read.

    A program that needs what the board's firmware lacks, such as sockets, is refused. If a program reads pins.json, and there is
    none, the board gets one with its pins in docs/boards.md.

    \b
    Example:
      dicectl deploy firmware/examples/boot.py firmware/examples/lamp.py=main.py lamp.gsa
    """
    from dicectl.board import sync
    from dicectl.board.raw_repl import Device

    printer = _Printer(as_json)
    sources = sync.gather(paths, to)
    with Device(port) as device:
        plan = sync.plan(device, sources, to, profile, force, as_files, not no_check, native)
        printer.plan(plan, dry_run)
        if (plan.copies or plan.removals) and not dry_run:
            with printer.progress(plan) as progress:
                sync.apply(device, plan, progress)
        printer.result(plan, dry_run)


def _sizes(plan, path, data):
    """Return the size of a file, and how much of it is sent, as text."""
    sent = sum(len(step[2] or b"") for step in plan.steps_of(path, data))
    return f"{len(data):,} bytes" + (f", {sent:,} of them sent" if sent < len(data) else "")


class _Printer:
    """Prints what is done: a bar on a terminal, a line for each file elsewhere, JSON at the end for programs."""

    def __init__(self, as_json):
        self._as_json = as_json

    def _say(self, label, text):
        if not self._as_json:
            click.echo(f"{label:10}{text}")

    def plan(self, plan, dry_run):
        """Print the board, and in a dry run what would be done."""
        self._say("board", f"{plan.board} on {plan.port}, .mpy {plan.flavour}")
        self._say("dice", plan.about_dice)
        for note in plan.notes:
            click.echo(f"note: {note}", err=True)
        if dry_run:
            for path, data in plan.copies.items():
                self._say("would copy", f" {path} ({_sizes(plan, path, data)})")
            for path in plan.removals:
                self._say("would remove", f" {path}")

    @contextlib.contextmanager
    def progress(self, plan):
        """Yield progress(path, bytes written, bytes of the file)."""
        from dicectl.cli.progress import bar

        total = sum(map(len, plan.copies.values())) or 1
        done = 0

        def progress(path, written, size):
            nonlocal done
            if report:
                report(path, (done + written) / total)
            elif written == size:
                self._say("copied", f"{path} ({_sizes(plan, path, plan.copies[path])})")
            done += size if written == size else 0

        with bar(not self._as_json) as report:
            yield progress

    def result(self, plan, dry_run):
        """Print what was done, and the space that the files take."""
        free = plan.free_bytes
        if self._as_json:
            import json

            click.echo(json.dumps({**plan.as_dict(), "dry_run": dry_run, "flash_free_bytes": free}))
            return
        for path in () if dry_run else plan.removals:
            self._say("removed", path)
        copied = f"{len(plan.copies)} {'to copy' if dry_run else 'copied and verified'}" if plan.copies else "nothing to copy"
        self._say("files", f"{copied}, {plan.unchanged} up to date")
        self._say("space", f"{plan.flash_bytes:,} bytes of flash for {len(plan.wanted)} files, {free:,} bytes free")
