# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The output of a running manager: a line for each event, and on a terminal a live table of members below."""

import datetime
import os
import sys
import time

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from dice.group.presence import CONNECTED, SILENT
from dicectl.manager.news import BACK_EVENT
from dicectl.manager.operating import log_format as log
from dicectl.manager.presence_words import rank, words
from dicectl.net.address import hint

_ROWS_MAX = 30
_PAUSE = 20  # times the time that it took to draw the table: that of a large group
_OWN = ("number", "at", "event", "group", "device")


def line(entry):
    """Return an entry of the audit log as a line of text."""
    at = datetime.datetime.fromtimestamp(entry["at"]).isoformat(" ", "seconds")
    return f"{at}  {event(entry)}"


def event(entry):
    """Return an entry of the audit log as a line of text without its time."""
    whose = " ".join(entry[key] for key in ("group", "device") if entry[key])
    more = ", ".join(f"{key} {value}" for key, value in entry.items() if key not in _OWN and value is not None)
    return f"{entry['event']:13}{whose}{'  ' if more else ''}{more}"


def _in_foreground(stream):
    """Return whether this process is what the user of the terminal `stream` sees, not a job in the background."""
    try:
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except (AttributeError, OSError, ValueError):  # Windows, or no terminal
        return False


class Dashboard:
    """Shows a service.ManagerService; call refresh() periodically. `log_format` is one of log_format.FORMATS.

    The table is drawn only in the foreground of a terminal, so that it does not cover what is typed and printed there.
    """

    def __init__(self, service, log_format=log.PLAIN):
        self._service = service
        self._format = log_format
        self._console = Console(highlight=False)
        self._live = None
        if self._console.is_terminal and log_format == log.PLAIN:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._last = service.registry.last_entry
        self._warned = {}
        self._draw_s = 0.0  # when the table is drawn again

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._live:
            self._live.stop()

    def begin(self, port, host):
        """Print that the manager serves."""
        self._print(f"serving devices on UDP port {port}; they connect to {host}", {"event": "serving", "port": port, "host": host})
        advice = hint(host)
        if advice:
            self._print(advice, {"event": "hint", "text": advice})

    def refresh(self):
        """Print the events since the last call, and draw the table again."""
        self._begin_or_stop_drawing()
        for entry in self._service.registry.audit(self._last):
            self._last = entry["number"]
            self._print(event(entry) if self._format == log.JOURNAL else line(entry), entry)
        if self._live and self._live.is_started and time.monotonic() >= self._draw_s:
            began_s = time.monotonic()
            self._live.update(self.table(), refresh=True)
            self._draw_s = time.monotonic() + _PAUSE * (time.monotonic() - began_s)

    def happened(self, news):
        """Print an event of news.News."""
        at = datetime.datetime.fromtimestamp(news["at"]).isoformat(" ", "seconds")
        text = news["text"] if self._format == log.JOURNAL else f"{at}  {news['text']}"
        self._print(text, news, log.INFO if news["event"] == BACK_EVENT else log.WARNING)

    def warn(self, troubles):
        """Print each exception of service.troubles() that was not printed yet."""
        for what, error in troubles.items():
            if self._warned.get(what) is not error and str(self._warned.get(what)) != str(error):
                shown = {"event": "trouble", "what": what, "error": f"{type(error).__name__}: {error}", "at": time.time()}
                text = f"warning: {what} failed ({shown['error']}); the manager goes on"
                self._print(text, shown, log.WARNING)
        self._warned = dict(troubles)

    def _begin_or_stop_drawing(self):
        """Follow the shell's `fg` and `bg`."""
        if self._live and self._live.is_started != _in_foreground(sys.stdout):
            if self._live.is_started:
                self._live.stop()
            else:
                self._live.start()

    def _print(self, text, fields, level=log.INFO):
        if self._format == log.PLAIN:
            self._console.print(text, soft_wrap=True, markup=False)
        else:
            print(log.formatted(self._format, level, text, fields), flush=True)

    def table(self):
        """Return a table of the members of all groups: silent ones come first, then those without the current epoch."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("group", "epoch", "member", "role", "id", "has epoch", "state"):
            table.add_column(heading, justify="right" if heading in ("epoch", "id", "has epoch") else "left")
        rows = []
        for group in self._service.managers:
            shown = self._service.do({"do": "show", "group": group})
            for member in self._service.do({"do": "members", "group": group}):
                whole = member["epoch"] == shown["epoch"]
                urgency = 0 if member["state"] == SILENT else 2 if whole else 1
                rows.append(((urgency, rank(member)), whole, shown, member))
        rows.sort(key=lambda row: row[0])
        for _, whole, shown, member in rows[:_ROWS_MAX]:
            epoch = f"{shown['epoch']}{'' if shown['active'] else ' (pending)'}"
            held = str(member["epoch"]) if whole else f"[yellow]{member['epoch'] or '-'}[/]"
            color = {SILENT: "red", CONNECTED: "green"}.get(member["state"], "default")
            device_id = "" if member["id"] is None else str(member["id"])
            table.add_row(shown["name"], epoch, member["device"], member["role"], device_id, held, f"[{color}]{words(member)}[/]")
        if len(rows) > _ROWS_MAX:
            table.caption = f"and {len(rows) - _ROWS_MAX:,} more"
        return table
