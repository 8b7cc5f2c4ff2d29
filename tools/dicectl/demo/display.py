# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The output of the demo: lines of text, and on a terminal a live table of the lamps below."""

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from dicectl import resources
from dicectl.measure import figures

KINDS = {
    "replayed": "was received before, or is too old to tell",
    "forged": "does not authenticate: it was made or altered without the key",
    "unknown": "has the SenderID of no sender of the group",
    "epoch": "belongs to an epoch whose keys the lamp does not have",
    "malformed": "is not a record of a group",
    "first": "is the first of its sender, so nothing shows whether it is fresh",
    "unsaved": "could not be recorded in flash",
}


class Display:
    """Prints lines; on a terminal and in a recording it shows the table of `lamps` below them."""

    def __init__(self, recording=None):
        self.failed = 0
        self.passed = 0
        self.lamps = []
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True) if self._console.is_terminal else None
        self._recording = recording

    def __enter__(self):
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_):
        if self._live:
            self._live.stop()
        if self._recording:
            self._recording.live()

    def refresh(self):
        """Draw the table again."""
        if self._live:
            self._live.update(self.table(), refresh=True)
        if self._recording:
            self._recording.live(self.table())

    def say(self, text=""):
        """Print a line."""
        self._print(text, soft_wrap=not self._console.is_terminal)

    def _print(self, renderable, **options):
        self._console.print(renderable, **options)
        if self._recording:
            self._recording.print(renderable)

    def title(self, text):
        """Print the title of a part."""
        self.say(f"\n[bold]{text}[/bold]")

    def check(self, right, text):
        """Print and count the result of a check."""
        self.passed += bool(right)
        self.failed += not right
        self.say(f"  [green]ok[/green]    {text}" if right else f"  [bold red]WRONG[/bold red] {text}")

    def table(self):
        """Return a table: how many messages each lamp obeyed, and how many it dropped, by kind."""
        kinds = [kind for kind in KINDS if any(kind in lamp.dropped() for lamp in self.lamps)]
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("", "light", "obeyed", *kinds):
            table.add_column(heading, justify="right" if heading not in ("", "light") else "left", no_wrap=heading == "")
        for lamp in self.lamps:
            light = "[bold yellow]on[/]" if lamp.on else "off"
            dropped = [f"{lamp.dropped().get(kind, 0):,}" for kind in kinds]
            table.add_row(lamp.name, light if lamp.alive() else "[red]no power[/]", str(lamp.obeyed), *dropped)
        return table

    def verdict(self, heap_kb):
        """Print the final table, and what the kinds mean."""
        self.say("\n[bold]Messages that each lamp obeyed, and that it dropped because the message[/bold]")
        for kind, meaning in KINDS.items():
            if any(kind in lamp.dropped() for lamp in self.lamps):
                self.say(f"  {kind:10} {meaning}")
        self._print(self.table())
        used = max(lamp.counts["used"] for lamp in self.lamps)
        self.say(f"Each lamp used {used // 1024} of its {heap_kb} KB of memory, program included.")

    def costs(self, heap_kb, nodes, board, message_bytes):
        """Print what the managed nodes used: RAM, flash and bytes on the wire."""
        used_kb = max(node.counts["used"] for node in nodes if node.alive()) // 1024
        self.say(f"Each managed node, with a DTLS session beside its group, used {used_kb} of {heap_kb} KB.")
        if board:
            used_kb = board.heap_kb - board.counts["free"] // 1024
            frozen_kb = figures.read(resources.FIGURES)["linked"]["full"] // 1024
            carried = sum(len(data) for _, data in board.bus.carried)
            self.say(f"The RP2040, with dice in its firmware instead of in RAM, used {used_kb} of {board.heap_kb} KB.")
            self.say(f"Its flash has {frozen_kb} KB of dice and {board.flash_bytes // 1024} KB of application.")
            self.say(
                f"Its bus carried {carried:,} bytes, handshake and keys included; "
                f"a message of 2 bytes becomes a datagram of {message_bytes}."
            )

    def end(self):
        """Print the last line, if all checks passed."""
        if not self.failed:
            self.say(f"\n[bold green]All checks passed: {self.passed} of {self.passed}.[/bold green]")
