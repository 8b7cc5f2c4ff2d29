# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Writes the figures of docs/footprint.json into docs/ and the README: tables, and bars as SVG. Measures nothing."""

import json
from xml.sax.saxutils import escape

from dicectl import resources
from dicectl.measure import budgets
from dicectl.text import with_block

_STYLE = """text { font: 12px system-ui, sans-serif; fill: #57606a } .title { font-weight: 600; fill: #24292f }
.dice { fill: #0969da } .rest { fill: #54aeff } .tls { fill: #8c959f }
@media (prefers-color-scheme: dark) { text { fill: #8b949e } .title { fill: #e6edf3 } .dice { fill: #2f81f7 }
.rest { fill: #79c0ff } .tls { fill: #6e7681 } }"""
_WIDTH, _LABEL, _BAR, _ROW = 760, 190, 440, 20


def kilobytes(count):
    """Return a number of bytes as text: "12.3 KB"."""
    return f"{count / 1024:.1f} KB"


def milliseconds(us):
    """Return microseconds as text: "1.23 ms"."""
    return f"{us / 1000:.2f} ms"


def shown(value, unit):
    """Return a figure with its unit, as text."""
    return milliseconds(value) if unit == "us" else f"{value:,} bytes"


def bars(sections, name="What dice costs", left=_LABEL):
    """Return an SVG of [(title, [(label, value, text after the bar, class)])]. Each section has its own scale.

    `name` is that of the picture, `left` the width of the labels.
    """
    parts, y = [], 4
    for title, rows in sections:
        y += 20
        parts.append(f'<text class="title" x="0" y="{y}">{escape(title)}</text>')
        y += 8
        longest = max(1, *(row[1] for row in rows))
        for label, value, text, style in rows:
            width = max(1, round(_BAR * value / longest))
            parts.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{escape(label)}</text>')
            parts.append(f'<rect class="{style}" x="{left}" y="{y + 3}" width="{width}" height="13" rx="2"/>')
            parts.append(f'<text x="{left + width + 8}" y="{y + 13}">{escape(text)}</text>')
            y += _ROW
        y += 10
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}" height="{y}" role="img">'
    return "\n".join([head, f"<title>{escape(name)}</title>", f"<style>{_STYLE}</style>", *parts, "</svg>"]) + "\n"


def picture(figures):
    """Return the figures as SVG: compared with MicroPython's tls if that was measured, and the parts of dice."""
    sections = []
    if "tls" in figures and "linked" in figures:
        sections = list(_beside_tls(figures))
    parts = {}  # what is in one folder is one bar
    for name, size in figures["mpy"].items():
        part = name.removeprefix("dice/").partition("/")[0]
        in_group, total = parts.get(part, (False, 0))
        parts[part] = (in_group or name in figures["group"], total + size)
    rows = [
        (part, size, f"{size:,}", "dice" if in_group else "rest")
        for part, (in_group, size) in sorted(parts.items(), key=lambda item: -item[1][1])
    ]
    title = (
        "bytes of .mpy" if all(row[3] == "dice" for row in rows) else "bytes of .mpy: needed by a member, and (lighter) the rest"
    )
    return bars([*sections, (title, rows)])


def _beside_tls(figures):
    tls, member, times = figures["tls"], figures["member"], figures["time_us"]
    linked = max(figures["linked"].values())
    size = figures["linked"].get("group", linked)
    yield (
        "flash in the firmware, on a Raspberry Pi Pico",
        [("dice, a member", size, kilobytes(size), "dice"), ("tls", tls["linked"], kilobytes(tls["linked"]), "tls")],
    )
    yield (
        "RAM: a group with 8 senders, and one tls session",
        [
            ("dice, 8 senders", member["idle"], kilobytes(member["idle"]), "dice"),
            ("tls, one peer", tls["session_bytes"], kilobytes(tls["session_bytes"]), "tls"),
        ],
    )
    yield (
        "time to seal and open a record of 64 bytes",
        [
            ("dice, CCM", times["seal and open"], milliseconds(times["seal and open"]), "dice"),
            ("tls, GCM", tls["record_us"], milliseconds(tls["record_us"]), "tls"),
        ],
    )


def budget_table(figures):
    """Return the budgets and the measured values, as lines of Markdown."""
    lines = ["| what | measured | allowed |", "|---|---|---|"]
    for budget in budgets.load():
        value = budget.measured(figures)
        lines.append(f"| {budget.title} | {shown(value, budget.unit)} | {shown(budget.limit, budget.unit)} |")
    return lines


def module_table(figures):
    """Return flash and heap of each module, as lines of Markdown."""
    frozen, loaded = figures["import_frozen"], figures["import_files"]
    lines = ["| module | .mpy | heap, frozen | heap, as .mpy file | |", "|---|---|---|---|---|"]
    for name, size in figures["mpy"].items():
        heaps = (f"{heap[name]:,}" if name in heap else "-" for heap in (frozen, loaded))
        lines.append(f"| `{name}` | {size:,} | {' | '.join(heaps)} | {'group' if name in figures['group'] else ''} |")
    for profile, total in figures["mpy_total"].items():
        names = figures["group"] if profile == "group" else figures["mpy"]
        sums = (f"**{sum(heap.get(name, 0) for name in names):,}**" for heap in (frozen, loaded))
        lines.append(f"| **profile {profile}** | **{total:,}** | {' | '.join(sums)} | |")
    return lines


def page_block(figures):
    """Return the generated part of docs/footprint.md."""
    member = figures["member"]
    lines = ["## Budgets", "", *budget_table(figures), "", "How each figure is measured:", ""]
    lines += [f"* {budget.title}: {budget.how}." for budget in budgets.load()]
    lines += [
        "",
        "## Modules",
        "",
        "Bytes, in the order of import. A dash means not imported on this board; 0 means imported by a module above.",
        "",
        *module_table(figures),
    ]
    lines += ["", "## The rest", ""]
    lines += [f"* Linked firmware, profile {name}: {size:,} bytes of flash." for name, size in figures["linked"].items()]
    lines += [
        f"* A member with 8 senders: {member['idle']:,} bytes of heap, {member['heard']:,} after one message from each.",
        f"* Opening a record of 64 bytes uses {member['opening']:,} bytes of heap until the next collection, garbage included.",
        *(
            f"* Smallest heap in the 64-bit unix port: {size >> 10} KB; {scenario}."
            for scenario, size in figures["smallest_heap"].items()
        ),
        _session_line(figures["session"]),
    ]
    if "tls" in figures:
        lines.append(_tls_line(figures["tls"]))
    return "\n".join(lines) + "\n"


def _session_line(session):
    return (
        f"* A PSK handshake with cookie takes the server {milliseconds(session['server_us'])}. It has {session['bytes']} bytes in "
        f"{session['datagrams']} datagrams if the server offers no resumption. "
        f"A record is {session['record']} bytes longer than its data."
    )


def _tls_line(tls):
    return (
        f"* MicroPython's own `tls` in the same firmware ({tls['suite']}): {tls['linked']:,} bytes of flash, "
        f"{tls['session_bytes']:,} bytes of heap for each session, "
        f"{milliseconds(tls['record_us'])} to seal and open a record of 64 bytes."
    )


def _in_file_system(figures, profile):
    """Yield the row for the space of a profile's files on the board, if that was measured."""
    if "file_system" in figures:
        yield "flash, the same, as blocks of its file system", f"**{kilobytes(figures['file_system'][profile])}**", "-"


def _lamp(figures):
    """Yield the rows for the lamp at the top of the README, with sockets and asyncio, and for what deploy writes, if measured."""
    if "lamp_file_system" in figures and "full" in figures["file_system"]:
        yield "flash, the lamp above: what it imports, as one file", f"**{kilobytes(figures['lamp_file_system'])}**", "-"
        yield "flash, what `dicectl deploy` writes: all modules", f"**{kilobytes(figures['file_system']['full'])}**", "-"


def _public_keys(figures):
    """Yield the rows for handshakes with public keys, if those were measured: with the fast native module, and in Python alone."""
    found = figures.get("handshakes")
    if not found:
        return

    def time(row):
        return f"{found[row]['client_us'] / 1e6:.2f} s"

    def both(kind):
        return f"**{time(f'{kind}_fast')}**, in Python alone {time(f'{kind}_python')}"

    fast, tls = (kilobytes(found[row]["peak"]) for row in ("certificate_fast", "certificate_tls"))
    yield "handshake with raw public keys, time of the client", both("rpk"), "-"
    yield "the same with certificates, two from each end", both("certificate"), time("certificate_tls")
    yield "RAM of the client in that handshake, beside its code", f"**{fast}**", tls


def readme_block(figures):
    """Return the table of the README."""
    tls, member, times = figures["tls"], figures["member"], figures["time_us"]
    group, session = figures["group"], figures["session"]
    heap = sum(figures["import_frozen"].get(name, 0) for name in group)
    rows = [
        *_lamp(figures),
        ("flash, a member without asyncio and sockets, as .mpy files", f"**{kilobytes(figures['mpy_total']['group'])}**", "-"),
        *_in_file_system(figures, "group"),
        ("flash, the same, frozen into the firmware", f"**{kilobytes(figures['linked']['group'])}**", kilobytes(tls["linked"])),
        ("flash, a member and a DTLS client with a PSK, as .mpy files", f"**{kilobytes(figures['mpy_total']['psk'])}**", "-"),
        *_in_file_system(figures, "psk"),
        ("RAM, modules of a member, frozen", f"**{kilobytes(heap)}**", "-"),
        ("RAM, a group with 8 senders", f"**{kilobytes(member['idle'])}**", "-"),
        ("RAM, a session with one peer", f"**{kilobytes(session['heap'])}**", kilobytes(tls["session_bytes"])),
        ("PSK handshake, time of the client", f"**{milliseconds(session['client_us'])}**", "-"),
        *_public_keys(figures),
        ("64-byte record, sealed and opened", f"**{milliseconds(times['seal and open'])}**", milliseconds(tls["record_us"])),
        ("64-byte group record, received, with replay check", f"**{milliseconds(times['group open'])}**", "-"),
    ]
    lines = ["| on a Raspberry Pi Pico | `dice` | `tls` |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    note = (
        "On boards with a network the stock firmware already contains `tls`, so there it costs no extra flash. "
        "Times are a lower bound;\n[docs/footprint.md](docs/footprint.md) explains why and has all figures, "
        "[docs/handshakes.md](docs/handshakes.md) those of handshakes."
    )
    pictures = ["![Flash, RAM and time of both](docs/footprint.svg)", "![Handshakes](docs/handshakes.svg)"]
    return "\n".join([*lines, "", note, "", *pictures]) + "\n"


def replaced(text, block):
    """Return a page with its generated block replaced, or unchanged if it has none."""
    return with_block(text, "by `make footprint`", block)


def generated(figures):
    """Yield (path, expected text) of each file that is generated from the figures."""
    root = resources.clone("footprint --write")
    docs = root / "docs"
    yield resources.FIGURES, json.dumps(figures, indent=2) + "\n"
    yield docs / "footprint.svg", picture(figures)
    for path, block in ((docs / "footprint.md", page_block(figures)), (root / "README.md", readme_block(figures))):
        yield path, replaced(path.read_text(), block)
