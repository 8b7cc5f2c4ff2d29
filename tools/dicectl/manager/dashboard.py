# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The output of a running manager: a line for each event, and on a terminal a live table of members below."""

import datetime
import json

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

_ROWS_MAX = 30
_OWN = ("number", "at", "event", "group", "device")


def line(entry):
    """Return an entry of the audit log as a line of text."""
    at = datetime.datetime.fromtimestamp(entry["at"]).isoformat(" ", "seconds")
    whose = " ".join(entry[key] for key in ("group", "device") if entry[key])
    more = ", ".join(f"{key} {value}" for key, value in entry.items() if key not in _OWN and value is not None)
    return f"{at}  {entry['event']:13}{whose}{'  ' if more else ''}{more}"


class Dashboard:
    """Shows a service.ManagerService; call refresh() periodically."""

    def __init__(self, service, as_json):
        self._service = service
        self._as_json = as_json
        self._console = Console(highlight=False)
        self._live = None
        if self._console.is_terminal and not as_json:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
        log = service.registry.audit()
        self._last = log[-1]["number"] if log else 0
        self._warned = {}

    def __enter__(self):
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_):
        if self._live:
            self._live.stop()

    def begin(self, port, host):
        """Print that the manager serves."""
        if self._as_json:
            print(json.dumps({"event": "serving", "port": port, "host": host}), flush=True)
        else:
            self._console.print(f"serving devices on UDP port {port}; they connect to {host}", soft_wrap=True)

    def refresh(self):
        """Print the events since the last call, and draw the table again."""
        for entry in self._service.registry.audit(self._last):
            self._last = entry["number"]
            if self._as_json:
                print(json.dumps(entry), flush=True)
            else:
                self._console.print(line(entry), soft_wrap=True)
        if self._live:
            self._live.update(self.table(), refresh=True)

    def warn(self, troubles):
        """Print each exception of service.troubles() that was not printed yet."""
        for what, error in troubles.items():
            if self._warned.get(what) is not error and str(self._warned.get(what)) != str(error):
                shown = {"event": "trouble", "what": what, "error": f"{type(error).__name__}: {error}"}
                if self._as_json:
                    print(json.dumps(shown), flush=True)
                else:
                    self._console.print(
                        f"warning: {shown['what']} failed ({shown['error']}); the manager goes on", soft_wrap=True, markup=False
                    )
        self._warned = dict(troubles)

    def table(self):
        """Return a table of the members of all groups; those without the current epoch come first, then those without a session."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("group", "epoch", "member", "role", "id", "has epoch", "session"):
            table.add_column(heading, justify="right" if heading in ("epoch", "id", "has epoch") else "left")
        rows = []
        for group in self._service.managers:
            shown = self._service.do({"do": "show", "group": group})
            for member in self._service.do({"do": "members", "group": group}):
                rows.append((member["epoch"] == shown["epoch"], not member["connected"], shown, member))
        rows.sort(key=lambda row: row[:2])
        for whole, _, shown, member in rows[:_ROWS_MAX]:
            epoch = f"{shown['epoch']}{'' if shown['active'] else ' (pending)'}"
            held = str(member["epoch"]) if whole else f"[yellow]{member['epoch'] or '-'}[/]"
            session = "[green]open[/]" if member["connected"] else "-"
            device_id = "" if member["id"] is None else str(member["id"])
            table.add_row(shown["name"], epoch, member["device"], member["role"], device_id, held, session)
        if len(rows) > _ROWS_MAX:
            table.caption = f"and {len(rows) - _ROWS_MAX:,} more"
        return table
