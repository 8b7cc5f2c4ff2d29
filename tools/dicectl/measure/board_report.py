# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Figures of a connected board for people: rows beside those of the emulated Pico, and a picture."""

from dicectl.measure.report import bars, kilobytes, milliseconds

_STAGES = (
    ("before", "after boot.py"),
    ("program", "with the program"),
    ("imported", "with the modules of a member"),
    ("joined", "with a member of 8 senders"),
    ("session", "with a PSK session besides"),
    ("peak", "at most, while messages come"),
)
_OWN_STAGES = {"imported": "since it imported dice", "joined": "since it joined a group", "session": "since its first session"}


def _get(figures, path):
    """Return the figure at a dotted path, or None."""
    for key in path.split("."):
        figures = figures.get(key) if isinstance(figures, dict) else None
    return figures


def _bytes(path):
    def cell(figures):
        value = _get(figures, path)
        return None if value is None else f"{value:,} bytes"

    return cell


def _us(path):
    def cell(figures):
        value = _get(figures, path)
        return None if value is None else milliseconds(value)

    return cell


def wear(figures, direction):
    """Return (bytes programmed, bytes erased) of flash for one message "received" or "sent", or None."""
    store, puts, messages = figures.get("store"), _get(figures, f"puts.{direction}"), figures["messages"]
    if not store or not store.get("puts") or puts is None or not messages:
        return None
    return tuple(store[what] / store["puts"] * puts / messages for what in ("programmed", "erased"))


def _wear(direction):
    def cell(figures):
        both = wear(figures, direction)
        return both and f"{both[0]:,.0f} bytes written, {both[1]:,.0f} erased"

    return cell


def _files(figures):
    space = figures.get("file_system") or {}
    if figures.get("where") == "frozen":
        return "0 bytes: frozen"
    return f"{space['dice']:,} bytes" if "dice" in space else None


def _calls(path):
    def cell(figures):
        calls = _get(figures, path)
        return calls and f"{milliseconds(calls['us'])}, at least {milliseconds(calls['least_us'])}"

    return cell


def _handshake(figures):
    found = figures.get("handshake")
    return found and f"{found['ms']:,} ms, of which {milliseconds(found['us'])} are computed"


def _sampling(figures):
    found = figures.get("sampling")
    return found and (
        f"{found['percent_of_time']} % of the time ({found['samples']} samples of {milliseconds(found['us'])}, by {found['by']}), "
        f"{found['hook_us']} us a call, {found['heap']:,} bytes"
    )


def _of_program():
    yield "messages", lambda figures: f"{figures['messages']:,}" if "sampling" in figures else None
    yield "a group record, with its write to the store", _calls("records_us")
    yield "a session's record", _calls("session_records_us")
    yield "first handshake", _handshake
    yield "writes to the store", lambda figures: figures.get("puts_us") and f"{figures['puts_us']['count']:,}"
    yield "a write to the store", _calls("puts_us")
    yield "stack of the program, sampled", _bytes("stack.program")
    yield "what the sampling costs", _sampling


def _cells(own):
    yield "heap", _bytes("heap.total")
    for stage, text in _STAGES:
        yield f"heap in use {_OWN_STAGES.get(stage, text) if own else text}", _bytes(f"heap.{stage}")
    for stage, text in (*_STAGES[:5], ("messages", "after the messages"), ("end", "at the end")):
        yield f"largest free block {_OWN_STAGES.get(stage, text) if own else text}", _bytes(f"largest_block.{stage}")
    for stage, text in _STAGES[:5]:
        yield f"heap of ESP-IDF, free {text}", _bytes(f"idf_heap.{stage}.free")
    yield "heap of ESP-IDF, fewest bytes free so far", _bytes("idf_heap.sent.least")
    yield "heap of importing all modules", _bytes("imports")
    yield "heap of a member with 8 senders", _bytes("member.idle")
    yield "heap of a client's session", _bytes("session.heap")
    yield "peak heap of its handshake", _bytes("session.peak")
    yield "stack limit", _bytes("stack.limit")
    yield "stack to receive a group record", _bytes("stack.receive")
    yield "stack of a PSK handshake, both ends", _bytes("stack.handshake")
    yield "flash of the files of dice", _files
    yield "flash for a message received", _wear("received")
    yield "flash for a message sent", _wear("sent")
    yield "a write to the store on the flash", _us("store.put_us")
    yield "64 bytes, sealed and opened", _us("time_us.seal and open")
    yield "a group record of 64 bytes, received", _us("time_us.group open")
    yield "PSK handshake, time of the client", _us("session.client_us")
    yield "AES, by the kind of chip", lambda figures: f"in {figures['aes']}"
    yield from _of_program()


def rows(figures, pico):
    """Return [(what, text of this board, text of the emulated Pico)] of what was measured here."""
    found = []
    for what, cell in _cells("sampling" in figures):
        text = cell(figures)
        if text is not None:
            beside = cell(pico) if pico and "sampling" not in figures else None
            found.append((what, text, beside or "-"))
    return found


def title(figures):
    """Return the line above the rows."""
    return (
        f"{figures['machine']}{' (emulated)' if figures['emulated'] else ''}, MicroPython {figures['firmware']}, "
        f"dice {figures['dice']} in {figures['where'] if figures['where'] != 'frozen' else 'the firmware'}"
    )


def picture(figures, pico):
    """Return the figures as SVG, with the emulated Pico's bars below each of the board's."""
    boards = [("this board", figures, "dice"), *([("emulated Pico", pico, "rest")] if pico else [])]
    sections = []
    for heading, entries, shown in (
        ("heap in use", [(f"heap.{stage}", text) for stage, text in _STAGES], kilobytes),
        ("largest free block", [(f"largest_block.{stage}", text) for stage, text in _STAGES], kilobytes),
        (
            "time",
            [
                ("time_us.seal and open", "64 bytes both ways"),
                ("time_us.group open", "a group record"),
                ("session.client_us", "PSK handshake, client"),
                ("store.put_us", "a write to the store"),
            ],
            milliseconds,
        ),
    ):
        lines = [
            (text if number == 0 else name, value, shown(value), style)
            for path, text in entries
            if _get(figures, path) is not None
            for number, (name, of, style) in enumerate(boards)
            if (value := _get(of, path)) is not None
        ]
        if lines:
            sections.append((heading, lines))
    return bars(sections)
