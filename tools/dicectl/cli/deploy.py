# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl deploy`: brings dice and a program onto a connected board, as far as they are not there yet."""

import sys

import rich_click as click


def _to(_context, _parameter, value):
    folder = value.removeprefix(":").strip("/")
    if any(part in ("", ".", "..") for part in folder.split("/")) and folder:
        raise click.BadParameter(f"{value} is not a folder of the board, such as : or :lib")
    return f"/{folder}" if folder else ""


@click.command("deploy")
@click.argument("paths", metavar="[PATH...]", nargs=-1)
@click.option("--port", help="The board's serial port.  [default: the only one with USB]")
@click.option("--to", default=":", show_default=True, callback=_to, metavar=":FOLDER", help="Folder on the board, such as :lib.")
@click.option("--profile", default="full", show_default=True, help="Modules of dice: full, psk, group or none (lib/manifest.py).")
@click.option("--force", is_flag=True, help="Copy dice also where the firmware has it frozen.")
@click.option("--dry-run", is_flag=True, help="Tell what would be done, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def command(paths, port, to, profile, force, dry_run, as_json):
    """Copy dice, and a program, onto a connected board: only what changed, each file verified by its hash.

    PATH is a file or a folder; PATH=NAME copies it under another name. Python files are compiled for the board's MicroPython,
    but main.py and boot.py, which boards run as source. Everything is written beside what is there and verified, then put
    into place at once; a .py or .mpy of the same module, which would be imported instead, is removed. The board's program is
    interrupted, and starts anew when all is done.

    \b
    Example:
      dicectl deploy firmware/examples/boot.py firmware/examples/lamp.py=main.py lamp.gsa
    """
    from dicectl.board import sync
    from dicectl.board.raw_repl import Device

    show = _Show(as_json)
    sources = sync.gather(paths, to)
    with Device(port) as device:
        plan = sync.plan(device, sources, to, profile, force)
        show.plan(plan, dry_run)
        if (plan.copies or plan.removals) and not dry_run:
            with show.progress(plan) as progress:
                sync.apply(device, plan, progress)
        show.result(plan, dry_run)


class _Show:
    """Tells people, or a program, what is done: a bar on a terminal, a line for each file elsewhere."""

    def __init__(self, as_json):
        self._as_json = as_json

    def _say(self, label, text):
        if not self._as_json:
            click.echo(f"{label:10}{text}")

    def plan(self, plan, dry_run):
        """Tell what the board is and what is to be done."""
        self._say("board", f"{plan.board} on {plan.port}, .mpy {plan.flavour}")
        self._say("dice", plan.about_dice)
        for note in plan.notes:
            click.echo(f"note: {note}", err=True)
        if dry_run:
            for path, data in plan.copies.items():
                self._say("would copy", f" {path} ({len(data):,} bytes)")
            for path in plan.removals:
                self._say("would remove", f" {path}")

    def progress(self, plan):
        """Return a context manager that gives progress(path, bytes written, bytes in all)."""
        return _bar(plan) if sys.stderr.isatty() and not self._as_json else _lines(self._say)

    def result(self, plan, dry_run):
        """Tell what was done, and how much space that takes."""
        free = plan.free_bytes
        if self._as_json:
            import json

            click.echo(json.dumps({**plan.as_dict(), "dry_run": dry_run, "flash_free_bytes": free}))
            return
        for path in () if dry_run else plan.removals:
            self._say("removed", path)
        copied = f"{len(plan.copies)} {'to copy' if dry_run else 'copied and verified'}" if plan.copies else "nothing to copy"
        self._say("files", f"{copied}, {plan.unchanged} as they should be")
        self._say("space", f"{plan.flash_bytes:,} bytes of flash for {len(plan.wanted)} files, {free:,} bytes free")


def _bar(plan):
    import contextlib

    from rich.console import Console
    from rich.progress import Progress

    @contextlib.contextmanager
    def bar():
        with Progress(console=Console(stderr=True), transient=True) as shown:
            task = shown.add_task("", total=sum(map(len, plan.copies.values())))
            done = [0]

            def progress(path, written, size):
                shown.update(task, description=path, completed=done[0] + written)
                done[0] += size if written == size else 0

            yield progress

    return bar()


def _lines(say):
    import contextlib

    @contextlib.contextmanager
    def lines():
        yield lambda path, written, size: say("copied", f"{path} ({size:,} bytes)") if written == size else None

    return lines()
