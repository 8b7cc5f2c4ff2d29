# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Labels to print and to stick on devices: a QR code with name and identity, and both as text. They contain no secret key.

The code is the text dice:IDENTITY?name=NAME, which tells an electrician's telephone which device hangs where. That of a device with
a raw public key or a certificate goes on with &sha256=FINGERPRINT, of its SubjectPublicKeyInfo. Nobody can connect with it: the key
is in the registry and on the device alone, or on the device alone.
"""

import html
import io
from pathlib import Path

import segno

from dicectl.errors import USAGE, CommandError

FORMS = (".svg", ".png", ".html")
_COLUMNS = 4
_WIDTH, _HEIGHT = 190, 230  # of a label, in units of the page
_CODE = 150


def text(device):
    """Return what the code of a device says."""
    key = f"&sha256={device['fingerprint']}" if "fingerprint" in device else ""
    return f"dice:{device['identity']}?name={device['name']}{key}"


def for_terminal(device):
    """Return the code of a device as lines for a terminal, and what it says."""
    out = io.StringIO()
    segno.make(text(device), micro=False).terminal(out, compact=True)
    return f"{out.getvalue()}{text(device)}"


def write(path, devices):
    """Write the labels of devices, {"name", "identity"}, to a page .svg or .html, or each to a file NAME.png in a folder *.png.

    Raises CommandError.
    """
    path = Path(path)
    form = path.suffix.lower()
    try:
        if form == ".png":
            path.mkdir(parents=True, exist_ok=True)
            for device in devices:
                segno.make(text(device), micro=False).save(str(path / f"{device['name']}.png"), scale=8)
        else:
            path.write_text(_page(devices) if form == ".html" else _sheet(devices))
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}", USAGE)


def check(path):
    """Raise CommandError if labels cannot have that name."""
    if Path(path).suffix.lower() not in FORMS:
        raise CommandError(f"{path}: labels are a page .svg or .html, or a folder *.png of pictures", USAGE)


def _code(device):
    """Return the code of a device as SVG without a head."""
    out = io.BytesIO()
    made = segno.make(text(device), micro=False)
    made.save(out, kind="svg", scale=_CODE / made.symbol_size()[0], xmldecl=False, svgns=False, nl=False)
    return out.getvalue().decode()


def _label(device, x, y):
    lines = (
        f'<text x="{_WIDTH / 2:g}" y="{_CODE + 32}" font-size="16" font-weight="bold">{html.escape(device["name"])}</text>',
        f'<text x="{_WIDTH / 2:g}" y="{_CODE + 52}" font-size="12">{html.escape(device["identity"])}</text>',
    )
    if "fingerprint" in device:
        lines += (f'<text x="{_WIDTH / 2:g}" y="{_CODE + 70}" font-size="9">{_short(device["fingerprint"])}</text>',)
    code = f'<g transform="translate({(_WIDTH - _CODE) / 2:g} 10)">{_code(device)}</g>'
    return f'<g transform="translate({x} {y})" text-anchor="middle" font-family="sans-serif">{code}{"".join(lines)}</g>'


def _short(fingerprint):
    """Return the beginning of a fingerprint, in groups, for people; the code has all of it."""
    return " ".join(fingerprint[at : at + 4] for at in range(0, 32, 4))


def _sheet(devices):
    """Return a page of labels as SVG."""
    rows = -(-len(devices) // _COLUMNS)
    labels = (_label(device, i % _COLUMNS * _WIDTH, i // _COLUMNS * _HEIGHT) for i, device in enumerate(devices))
    width, height = min(_COLUMNS, len(devices)) * _WIDTH, rows * _HEIGHT
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
    return head + "\n".join(labels) + "</svg>\n"


def _page(devices):
    """Return labels as HTML, which a browser breaks into pages."""
    style = f"body{{margin:0}}svg.label{{width:{_WIDTH}px;height:{_HEIGHT}px;break-inside:avoid;display:inline-block}}"
    labels = "\n".join(
        f'<svg class="label" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}">{_label(device, 0, 0)}</svg>'
        for device in devices
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>Labels</title><style>{style}</style>\n{labels}\n</html>\n'
    )
