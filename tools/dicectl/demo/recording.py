# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Records the output of a program, lines and a live region below them, and writes it as an animated SVG.

The picture is self-contained: CSS keyframes, no script, no link, no font of its own. Without animation it is the last frame.
rich renders the text. Tools such as termtosvg-ng need a pseudo-terminal, and write no description and no last frame.
"""

import io
import itertools
import re
import time
from dataclasses import dataclass
from xml.sax.saxutils import escape

from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

COLUMNS = 96
ROWS = 28
DURATION_S = 40  # how long the picture takes, before it begins again
_GAP_MAX_S = 1.2  # how much of a pause is shown, at the speed of the program
_PACE_MAX = 2  # by how much a short recording is slowed down
_TICK_S = 0.05  # what happens within one tick is one frame
_FIRST_S = 1  # how long the first frame, the command, is shown
_LAST_S = 6  # how long the last frame is shown
_MOVE_S = 0.12  # how long lines take to move up

_FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"
_FONT_PX, _CELL_PX, _LINE_PX = 14, 8.4, 19
_BAR_PX, _PAD_PX = 34, 16
_THEME = TerminalTheme(
    (13, 17, 23),
    (201, 209, 217),
    [
        (72, 79, 88),
        (255, 123, 114),
        (63, 185, 80),
        (242, 204, 96),
        (121, 192, 255),
        (210, 168, 255),
        (86, 212, 221),
        (177, 186, 196),
    ],
)
_WORDS = re.compile(r"\S+(?: \S+)*")
_HANG = re.compile(r" *(?:\S+ {2,})?")  # the indent of a line, and the word in front of a second column


@dataclass(frozen=True)
class Run:
    """Text of one style in one place of a line."""

    column: int
    text: str
    style: Style


@dataclass(frozen=True)
class Frame:
    """How many lines have been printed at a time, and the lines of the live region: each a tuple of runs."""

    seconds: float
    lines: int
    live: tuple = ()

    @property
    def scroll(self):
        """The number of lines that have left the screen."""
        return max(0, self.lines + len(self.live) - ROWS)


class Recording:
    """Collects what is shown; `clock` returns seconds."""

    def __init__(self, command, clock=time.monotonic):
        self._clock = clock
        self._printed = []  # (tick, renderable)
        self._live = {}  # {tick: renderable}, the last of each tick
        self.print(f"[green]$[/] [bold]{command}[/]")

    def _tick(self):
        return round(self._clock() / _TICK_S)

    def print(self, renderable):
        """Print a renderable, or a string with rich's markup, above the live region."""
        self._printed.append((self._tick(), Text.from_markup(renderable) if isinstance(renderable, str) else renderable))

    def live(self, renderable=None):
        """Replace what the live region shows; None removes it."""
        self._live[self._tick()] = renderable

    def frames(self):
        """Return (all printed lines, the frames in the order of time, each different from the one before)."""
        console = Console(width=COLUMNS, file=io.StringIO(), color_system="truecolor", force_terminal=True, highlight=False)
        lines, counts = [], {}
        for tick, renderable in self._printed:
            lines += _lines(console, renderable)
            counts[tick] = len(lines)
        frames, count, live = [], 0, ()
        for tick in sorted({*counts, *self._live}):
            count = counts.get(tick, count)
            if tick in self._live:
                live = tuple(_lines(console, self._live[tick])) if self._live[tick] else ()
            frame = Frame(tick * _TICK_S, count, live)
            if not frames or (count, live) != (frames[-1].lines, frames[-1].live):
                frames.append(frame)
        return lines, frames

    def svg(self, title, description):
        """Return the picture as text."""
        lines, frames = self.frames()
        return _Picture(lines, paced(frames)).svg(title, description)


def _lines(console, renderable):
    """Return the lines of a renderable as tuples of runs; those of a text that is too wide continue under its second column."""
    if not isinstance(renderable, Text):
        return [_runs(segments) for segments in console.render_lines(renderable, pad=False)]
    lines = []
    for text in renderable.split("\n", allow_blank=True):
        column, hang = 0, len(_HANG.match(text.plain)[0])
        while text or not column:
            line = text.wrap(console, COLUMNS - column)[0]
            lines.append(_runs(line.render(console), column))
            text = text[len(text) - len(text.plain[len(line) :].lstrip()) :]
            column = hang or 1
    return lines


def _runs(segments, column=0):
    """Return the runs of one line: words that stand apart are runs of their own."""
    runs = []
    for segment in Segment.simplify(segments):
        for match in _WORDS.finditer(segment.text):
            runs.append(Run(column + cell_len(segment.text[: match.start()]), match[0], segment.style or Style.null()))
        column += cell_len(segment.text)
    return tuple(runs)


def paced(frames):
    """Return the frames with other times, from 0 on: long gaps are shortened, then all are scaled alike to DURATION_S."""
    gaps = [min(after.seconds - before.seconds, _GAP_MAX_S) for before, after in itertools.pairwise(frames)][1:]
    pace = min((DURATION_S - _FIRST_S - _LAST_S) / sum(gaps), _PACE_MAX) if gaps else 1
    times = [0.0, *itertools.accumulate([_FIRST_S, *(gap * pace for gap in gaps)])]
    return [Frame(at, frame.lines, frame.live) for at, frame in zip(times, frames)]


class _Picture:
    """The printed lines, which move up, and over them the live region, whose background hides the lines to come."""

    def __init__(self, lines, frames):
        self._lines, self._frames = lines, frames
        self._duration = frames[-1].seconds + _LAST_S
        self._classes = {}  # {CSS declarations: class}
        self._rules = []

    def svg(self, title, description):
        last = self._frames[-1]
        top = [_LINE_PX * (frame.lines - frame.scroll) for frame in self._frames]
        moves = [self._moves("s", [-_LINE_PX * frame.scroll for frame in self._frames]), self._moves("l", top)]
        printed = "\n".join(self._text(row, run) for row, runs in enumerate(self._lines) for run in runs)
        live = "\n".join(self._live())
        width, height = COLUMNS * _CELL_PX, ROWS * _LINE_PX
        whole_width, whole_height = round(width + 2 * _PAD_PX), height + _BAR_PX + _PAD_PX
        background, foreground = _THEME.background_color.hex, _THEME.foreground_color.hex
        return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole_width} {whole_height}" width="{whole_width}" height="{whole_height}" \
role="img" aria-labelledby="title desc">
<title id="title">{escape(title)}</title>
<desc id="desc">{escape(description)}</desc>
<style>
text{{font:{_FONT_PX}px {_FONT};fill:{foreground}}}
g,.a{{animation:{self._duration:g}s step-end infinite}}
{self._css(moves)}
@media (prefers-reduced-motion:reduce){{*{{animation:none!important}}}}
</style>
<rect x=".5" y=".5" width="{whole_width - 1}" height="{whole_height - 1}" rx="8" fill="{background}" stroke="#30363d"/>
{_bar(whole_width, title)}
<svg x="{_PAD_PX}" y="{_BAR_PX}" width="{width:g}" height="{height}">
<g id="s" transform="translate(0,{-_LINE_PX * last.scroll})">
{printed}
</g>
<g id="l" transform="translate(0,{top[-1]})">
<rect width="{width:g}" height="{height}" fill="{background}"/>
{live}
</g>
</svg>
</svg>
"""

    def _css(self, moves):
        classes = (f".{name}{{{declarations}}}" for declarations, name in self._classes.items())
        return "\n".join([*moves, *classes, *self._rules])

    def _keyframes(self, name, states):
        """Return a rule; `states` are (seconds, CSS declarations) in the order of time. Repeated declarations are omitted."""
        kept, before = {}, None
        for at, declarations in states:
            if declarations != before:
                kept[self._percent(at)] = before = declarations
        kept["100%"] = before
        return f"@keyframes {name}{{{''.join(f'{at}{{{declarations}}}' for at, declarations in kept.items())}}}"

    def _percent(self, seconds):
        return f"{round(100 * seconds / self._duration, 2):g}%"

    def _moves(self, name, pixels):
        """Return the rules that move a group: it stands still, and moves within a moment."""
        states = [(0.0, f"transform:translateY({pixels[0]}px)")]
        ends = [frame.seconds for frame in self._frames[1:]] + [self._duration]
        for index in range(1, len(pixels)):
            if pixels[index] != pixels[index - 1]:
                start = ends[index - 1]
                states.append((start, f"transform:translateY({pixels[index - 1]}px);animation-timing-function:ease-out"))
                states.append((min(start + _MOVE_S, ends[index]), f"transform:translateY({pixels[index]}px)"))
        return f"#{name}{{animation-name:{name}}}\n" + self._keyframes(name, states)

    def _live(self):
        """Yield the texts of the live region: each run once, with the times at which it is visible."""
        places = {}
        for index, frame in enumerate(self._frames):
            for row, runs in enumerate(frame.live):
                for run in runs:
                    places.setdefault((row, run), set()).add(index)
        names = {}
        for (row, run), shown in places.items():
            if len(shown) == len(self._frames):
                yield self._text(row, run)
                continue
            key = tuple(sorted(shown))
            if key not in names:
                names[key] = f"v{len(names)}"
                self._rules.append(self._visibility(names[key], shown))
            yield self._text(row, run, "a", names[key])

    def _visibility(self, name, shown):
        states = [
            (frame.seconds, "visibility:" + ("visible" if index in shown else "hidden")) for index, frame in enumerate(self._frames)
        ]
        return f".{name}{{{states[-1][1]};animation-name:{name}}}\n" + self._keyframes(name, states)

    def _text(self, row, run, *classes):
        """Return a run as an element; its length is given, since fonts differ."""
        declarations = _declarations(run.style)
        if declarations:
            classes = (self._classes.setdefault(declarations, f"c{len(self._classes)}"), *classes)
        names = f' class="{" ".join(classes)}"' if classes else ""
        x, y = run.column * _CELL_PX, (row + 1) * _LINE_PX - 5
        length = cell_len(run.text) * _CELL_PX
        return f'<text x="{x:g}" y="{y}" textLength="{length:g}"{names}>{escape(run.text)}</text>'


def _declarations(style):
    """Return a style as CSS; a background is left out."""
    color = style.color and style.color.get_truecolor(_THEME).hex
    parts = [f"fill:{color}"] if color else []
    if style.bold:
        parts.append("font-weight:700")
    if style.italic:
        parts.append("font-style:italic")
    if style.dim:
        parts.append("opacity:.6")
    if style.bold and color:
        parts.append(f"filter:drop-shadow(0 0 4px {color})")  # it glows
    return ";".join(parts)


def _bar(width, title):
    """Return the upper edge of a window."""
    lights = enumerate(("#ff5f56", "#ffbd2e", "#27c93f"))
    circles = (f'<circle cx="{20 + 20 * index}" cy="18" r="6" fill="{color}"/>' for index, color in lights)
    return "\n".join([*circles, f'<text x="{width / 2:g}" y="22" text-anchor="middle" opacity=".6">{escape(title)}</text>'])
