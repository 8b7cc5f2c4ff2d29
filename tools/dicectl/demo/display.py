# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""How the demo shows itself: a live table of the lamps on a terminal, plain lines otherwise."""

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from dicectl import resources
from dicectl.measure import figures

KINDS = {
    "replayed": "was seen before, or is too old to tell",
    "forged": "bears a seal that does not fit: made or altered without the key",
    "unknown": "names a sender that the group does not have",
    "epoch": "is of a key generation that the group does not have",
    "malformed": "is no secured message at all",
    "first": "is the first ever heard of its sender, so nothing tells whether it is fresh",
    "unsaved": "could not be noted in flash",
}


class Display:
    """Prints the story, and under it, on a terminal and in a recording, the lamps."""

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
        """Draw the lamps anew."""
        if self._live:
            self._live.update(self.table(), refresh=True)
        if self._recording:
            self._recording.live(self.table())

    def say(self, text=""):
        """Tell what happens."""
        self._print(text, soft_wrap=not self._console.is_terminal)

    def _print(self, renderable, **options):
        self._console.print(renderable, **options)
        if self._recording:
            self._recording.print(renderable)

    def title(self, text):
        """Begin a part of the story."""
        self.say(f"\n[bold]{text}[/bold]")

    def check(self, right, text):
        """Tell a result, and remember whether it was right."""
        self.passed += bool(right)
        self.failed += not right
        self.say(f"  [green]ok[/green]    {text}" if right else f"  [bold red]WRONG[/bold red] {text}")

    def table(self):
        """Return the lamps as a table: what each obeyed, and what it dropped, by kind."""
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
        """Print what each lamp counted, and what the kinds mean."""
        self.say("\n[bold]What each lamp obeyed, and what it dropped because it[/bold]")
        for kind, meaning in KINDS.items():
            if any(kind in lamp.dropped() for lamp in self.lamps):
                self.say(f"  {kind:10} {meaning}")
        self._print(self.table())
        used = max(lamp.counts["used"] for lamp in self.lamps)
        self.say(f"Each lamp got along with {used // 1024} of its {heap_kb} KB of memory, program included.")

    def costs(self, heap_kb, nodes, board, message_bytes):
        """Print what the managed nodes took: of RAM, of flash and of the wire."""
        used_kb = max(node.counts["used"] for node in nodes if node.alive()) // 1024
        self.say(f"Each node of the manager, with a DTLS session beside its group, got along with {used_kb} of {heap_kb} KB.")
        if board:
            used_kb = board.heap_kb - board.counts["free"] // 1024
            frozen_kb = figures.read(resources.FIGURES)["linked"]["full"] // 1024
            carried = sum(len(data) for _, data in board.bus.heard)
            self.say(f"The RP2040, with dice in its firmware instead of in RAM, got along with {used_kb} of {board.heap_kb} KB.")
            self.say(f"Its flash has {frozen_kb} KB of dice and {board.flash_bytes // 1024} KB of application.")
            self.say(
                f"Its bus carried {carried:,} bytes, handshake and keys included; a message of 2 bytes is one of {message_bytes}."
            )

    def end(self):
        """Say whether everything was as it must be."""
        if not self.failed:
            self.say(f"\n[bold green]Everything was as it must be: {self.passed} of {self.passed} checks.[/bold green]")
