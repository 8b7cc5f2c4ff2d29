# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The cost of handshakes with each kind of key on the emulated RP2040: P-256 in Python and in C, and MicroPython's tls beside it.

collect() measures them; docs/handshakes.json has those of the last `dicectl bench --keys --write`, from which `dicectl footprint`
takes what has a budget. on_device/key_handshakes.py and on_device/tls_handshake.py are the workloads. Each row starts on a board
that was just powered on, with dice in files, as `dicectl deploy --profile public-keys` puts it there.
"""

import json
from dataclasses import dataclass

from dicectl import resources
from dicectl.emulator import runner
from dicectl.emulator.board import check, firmware
from dicectl.firmware import mpy, native, profiles, recipe
from dicectl.measure import chains, report
from dicectl.text import with_block

ARCHITECTURE = "armv6m"
QUICK = "rpk_fast"
PATH = resources.FIGURES.with_name("handshakes.json")
MARK = "by `make bench`"
_CODE = {"python": None, "small": "small", "fast": "fast"}  # what computes: the variant of _dice.mpy
FIRMWARE = "firmware"  # of ours, with all of dice and `_dice` in it
_KINDS = {"psk": "PSK", "ecdhe_psk": "PSK, ECDHE", "rpk": "raw public keys", "certificate": "certificates"}
_TLS = "certificate_tls"


@dataclass(frozen=True)
class Row:
    """One measurement: `kind` as on_device/key_handshakes.py names it, and what computes P-256 and AES-CCM, or "tls"."""

    kind: str
    code: str

    @property
    def name(self):
        """The key of its figures."""
        return f"{self.kind}_{self.code}"


# A PSK needs no P-256, and "small" has the same AES-CCM as "fast".
ROWS = (
    *(Row("psk", code) for code in ("python", "fast")),
    *(Row("ecdhe_psk", code) for code in _CODE),
    *(Row(kind, code) for kind in ("rpk", "certificate") for code in (*_CODE, FIRMWARE)),
    Row("certificate", "tls"),
    *(Row("chain", code) for code in _CODE),
)


def _compiled(script):
    return mpy.compile_here(resources.ON_DEVICE / script, script, ARCHITECTURE)


def _flash(code, progress):
    """Return {file: bytes} of a board on which this computes."""
    variant = _CODE[code]
    names = profiles.files("public-keys", native=True, esp32=False, c_module=variant is not None)
    files = {name.replace(".py", ".mpy"): mpy.compile_here(resources.LIB / name, name, ARCHITECTURE) for name in names}
    if variant:
        files[native.NAME] = native.build(ARCHITECTURE, variant, progress).read_bytes()
    return {**files, **chains.files(), "session_cost.mpy": _compiled("session_cost.py")}


def measured(row, progress=recipe.quiet):
    """Return the figures of a row."""
    if row.code == "tls":
        uf2 = recipe.firmware("RPI_PICO", with_tls=True, progress=progress) / "firmware.uf2"
        files = {**chains.files(), "tls_dtls.mpy": _compiled("tls_dtls.py")}
        (figures,) = runner.lines(uf2, "tls_handshake.py", files=files)
        return figures
    if row.code == FIRMWARE:
        uf2 = recipe.firmware("RPI_PICO", profile="public-keys", progress=progress) / "firmware.uf2"
        files = {**chains.files(), "session_cost.mpy": _compiled("session_cost.py")}
    else:
        uf2, files = firmware(), _flash(row.code, progress)
    (figures,) = runner.lines(uf2, "key_handshakes.py", [row.kind], files)
    return figures


def collect(progress, quick=False):
    """Return {row: figures}, in the order of ROWS, or of one if `quick`; calls progress(text, fraction). Raises CommandError."""
    check()
    rows = [row for row in ROWS if not quick or row.name == QUICK]
    found = {}
    for number, row in enumerate(rows):
        progress(f"{title(row)} on the board", number / len(rows))
        found[row.name] = measured(row)
    progress("on the board", 1)
    return found


def load():
    """Return the figures of the last --write."""
    return json.loads(PATH.read_text()) if PATH.exists() else {}


def title(row):
    """Return a row's name for people."""
    names = {"tls": "MicroPython's `tls`", "python": "Python", FIRMWARE: "our firmware"}
    what = names.get(row.code, f"native, {row.code}")
    return f"{_KINDS.get(row.kind, 'a chain of three')}: {what}"


TEXT = (
    "handshakes on the emulated RP2040 with the cookie exchange; both ends run on it, prove who they are, and have chains of two\n"
    "certificates. client, server: the time in all calls of each; elapsed: of both, one after the other; once: the client's time\n"
    "to create its credentials, after power on; bytes and datagrams both ways; bytes of heap: peak of a client in the handshake,\n"
    "its session, and modules: its code and its tables"
)
CHAIN_TEXT = "to verify a chain of three certificates: two signatures, because the last one is the trust anchor"
TITLES = ["keys: code", "client", "server", "elapsed", "once", "bytes", "datagrams", "peak", "session", "modules"]


def _ms(figures, name):
    return f"{figures[name] / 1000:,.0f} ms" if name in figures else "-"


def lines(figures):
    """Return the cells of a row for each handshake, under TITLES."""
    found = []
    for row in ROWS:
        here = figures.get(row.name)
        if here and row.kind != "chain":
            times = [_ms(here, name) for name in ("client_us", "server_us", "elapsed_us", "credentials_us")]
            sizes = [f"{here[name]:,}" if name in here else "-" for name in ("bytes", "datagrams", "peak", "heap", "modules")]
            found.append([title(row), *times, *sizes])
    return found


def chain_lines(figures):
    """Return [(what computes, time)] to verify a chain of three certificates."""
    rows = [row for row in ROWS if row.kind == "chain" and row.name in figures]
    return [(title(row).partition(": ")[2], _ms(figures[row.name], "chain_us")) for row in rows]


def table(figures):
    """Return the generated part of docs/handshakes.md."""
    text = [f"| {' | '.join(TITLES)} |", "|---" + "|---:" * (len(TITLES) - 1) + "|"]
    text += [f"| {' | '.join(line)} |" for line in lines(figures)]
    text += ["", "| to verify a chain of three certificates | |", "|---|---:|"]
    return "\n".join(text + [f"| {what} | {ms} |" for what, ms in chain_lines(figures)]) + "\n"


def picture(figures):
    """Return the figures as SVG."""

    def bars(name, kinds, shown):
        for row in ROWS:
            if row.kind in kinds and row.name in figures:
                value = figures[row.name].get(name, 0)
                style = {"tls": "tls", "python": "rest"}.get(row.code, "dice")
                yield title(row).replace("`", ""), value, shown(value), style

    def seconds(us):
        return f"{us / 1e6:.2f} s"

    def code(size):
        return report.kilobytes(size) if size else "none: it is in flash"

    # Bytes and RAM of a handshake are the same for each code, so one row of each kind is enough.
    fast = {name: here for name, here in figures.items() if name.endswith(("_fast", "_tls"))}
    keys = ("ecdhe_psk", "rpk", "certificate")

    def of_kinds(name, shown):
        for row in ROWS:
            if row.kind in _KINDS and row.name in fast:
                value = fast[row.name][name]
                what = _KINDS[row.kind] + (", MicroPython's tls" if row.code == "tls" else "")
                yield what, value, shown(value), "tls" if row.code == "tls" else "dice"

    sections = [
        ("a handshake on a Raspberry Pi Pico: time of the client", list(bars("client_us", keys, seconds))),
        ("bytes on the wire, both ways", list(of_kinds("bytes", lambda count: f"{count:,}"))),
        ("RAM of the client while it shakes hands, beside its code", list(of_kinds("peak", report.kilobytes))),
        ("RAM of its code and tables; dice is in files, if not in our firmware", list(bars("modules", ("certificate",), code))),
    ]
    return report.bars(sections, "What handshakes cost", left=240)


def generated(figures):
    """Yield (path, expected text) of each file that is generated from the figures."""
    docs = resources.clone("bench --keys --write") / "docs"
    yield PATH, json.dumps(figures, indent=1) + "\n"
    yield docs / "handshakes.svg", picture(figures)
    page = docs / "handshakes.md"
    yield page, with_block(page.read_text(), MARK, table(figures))
