# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The animated SVG of a recording: its elements, the visible text at each time, and its duration."""

import itertools
import re
from xml.etree import ElementTree

import pytest
from rich.table import Table

from dicectl.demo import recording
from dicectl.demo.recording import DURATION_S, ROWS, Frame, Recording, paced

_SVG = "{http://www.w3.org/2000/svg}"


class Clock:
    """A clock that the test sets."""

    now = 100.0

    def __call__(self):
        return self.now


def lamps(*states):
    """Return a table like those of the demo."""
    table = Table("", "light", "obeyed")
    for number, on in enumerate(states, 1):
        table.add_row(f"lamp-{number}", "[bold yellow]on[/]" if on else "off", str(sum(states)))
    return table


def recording_of_a_program(lines=12, seconds=0.5):
    """Return the recording of a program that prints lines while three lamps change."""
    clock = Clock()
    record = Recording("dicectl demo", clock)
    for number in range(lines):
        clock.now += seconds
        record.print(f"  [green]ok[/]    line {number} & <a> \"b\" 'c'")
        clock.now += seconds
        record.live(lamps(number % 2, number % 3, number % 5 == 0))
    clock.now += seconds
    record.live()
    record.print("[bold green]done[/]")
    return record


def svg(record):
    """Return the picture as text."""
    return record.svg("a <title>", "what & why")


def keyframes(text):
    """Return {name: [(percent, CSS declarations)]}."""
    return {
        name: [(float(at), css) for at, css in re.findall(r"([\d.]+)%\{(.*?)\}", body)]
        for name, body in re.findall(r"@keyframes (\w+)\{((?:[\d.]+%\{.*?\})+)\}", text)
    }


def shown_at(text, percent):
    """Return the texts of the live region that are visible at a time."""
    rules = keyframes(text)
    live = ElementTree.fromstring(text).find(f".//{_SVG}g[@id='l']")
    visible = []
    for element in live.iter(f"{_SVG}text"):
        name = element.get("class", "").split()[-1:]
        states = rules[name[0]] if name and name[0] in rules else [(0, "visibility:visible")]
        if [css for at, css in states if at <= percent][-1] == "visibility:visible":
            visible.append(element.text)
    return sorted(visible)


def test_the_svg_is_valid_and_refers_to_no_other_file():
    text = svg(recording_of_a_program())
    root = ElementTree.fromstring(text)
    assert {element.tag.removeprefix(_SVG) for element in root.iter()} == {
        "svg", "title", "desc", "style", "rect", "circle", "g", "text"
    }  # fmt: skip
    assert not [name for element in root.iter() for name in element.attrib if "href" in name or name.startswith("on")]
    assert not re.search(r"url\(|@import|@font-face|javascript", text)
    assert re.findall(r"\w+://[^\"]*", text) == ["http://www.w3.org/2000/svg"]


def test_the_svg_has_a_title_and_a_description():
    root = ElementTree.fromstring(svg(recording_of_a_program()))
    assert root.get("role") == "img"
    labels = {element.get("id"): element.text for element in root if element.get("id")}
    assert [labels[name] for name in root.get("aria-labelledby").split()] == ["a <title>", "what & why"]


def test_texts_are_escaped():
    text = svg(recording_of_a_program())
    assert "line 3 &amp; &lt;a&gt; \"b\" 'c'" in text
    assert "line 3 & <a> \"b\" 'c'" in [element.text for element in ElementTree.fromstring(text).iter()]


def test_keyframes_rise_from_0_to_100_percent():
    rules = keyframes(svg(recording_of_a_program(lines=60, seconds=0.05)))
    assert len(rules) > 5
    for states in rules.values():
        percents = [at for at, _ in states]
        assert percents[0] == 0 and percents[-1] == 100
        assert all(before < after for before, after in itertools.pairwise(percents))


def test_each_frame_shows_its_live_region():
    record = recording_of_a_program()
    text = svg(record)
    frames = paced(record.frames()[1])
    duration = float(re.search(r"animation:([\d.]+)s", text)[1])
    for frame in frames:
        expected = sorted(run.text for runs in frame.live for run in runs)
        assert shown_at(text, 100 * (frame.seconds + 0.01) / duration) == expected
    assert len({frame.live for frame in frames}) > 5


def test_without_animation_the_last_frame_is_visible():
    text = svg(recording_of_a_program(lines=ROWS + 10))
    root = ElementTree.fromstring(text)
    lines = ROWS + 10 + 2  # the command above, the last line below
    assert root.find(f".//{_SVG}g[@id='s']").get("transform") == f"translate(0,{-19 * (lines - ROWS)})"
    assert root.find(f".//{_SVG}g[@id='l']").get("transform") == f"translate(0,{19 * ROWS})"
    hidden = set(re.findall(r"\.(\w+)\{visibility:hidden;", text))
    live = root.find(f".//{_SVG}g[@id='l']").findall(f"{_SVG}text")
    assert live and all(set(element.get("class").split()) & hidden for element in live)
    assert "@media (prefers-reduced-motion:reduce){*{animation:none!important}}" in text


def test_a_live_region_that_stays_is_visible_without_animation():
    clock = Clock()
    record = Recording("dicectl demo", clock)
    for on in (0, 1):
        clock.now += 1
        record.live(lamps(on))
    text = svg(record)
    assert "on" in shown_at(text, 100) and "off" not in shown_at(text, 100)
    visible = set(re.findall(r"\.(\w+)\{visibility:visible;", text))
    element = next(element for element in ElementTree.fromstring(text).iter() if element.text == "on")
    assert set(element.get("class").split()) & visible


def test_long_gaps_are_shortened_and_short_ones_keep_their_ratio():
    times = [0, 7, 8, 8.5, 60, 61, *(61 + number for number in range(1, 21))]
    frames = paced([Frame(seconds, index) for index, seconds in enumerate(times)])
    assert [frame.lines for frame in frames] == list(range(len(times)))
    gaps = [after.seconds - before.seconds for before, after in itertools.pairwise(frames)]
    assert gaps[1] == pytest.approx(2 * gaps[2]) == pytest.approx(gaps[4])
    assert gaps[3] == pytest.approx(1.2 * gaps[1])
    assert frames[0].seconds == 0 and gaps[0] == 1


@pytest.mark.parametrize("lines, seconds", [(60, 0.5), (60, 5), (400, 0.05)])
def test_a_recording_of_any_length_takes_the_same_time(lines, seconds):
    text = svg(recording_of_a_program(lines, seconds))
    assert {float(duration) for duration in re.findall(r"animation:([\d.]+)s", text)} == {DURATION_S}


def test_a_short_recording_is_not_stretched():
    assert paced(recording_of_a_program(lines=2).frames()[1])[-1].seconds < 6
    svg(Recording("dicectl demo", Clock()))  # nothing happens; that can be shown too


def test_the_svg_is_small():
    assert len(svg(recording_of_a_program(lines=100)).encode()) < 100_000


def test_the_same_events_make_the_same_svg():
    assert svg(recording_of_a_program()) == svg(recording_of_a_program())


def test_a_line_that_is_too_wide_continues_under_its_second_column():
    clock = Clock()
    record = Recording("dicectl demo", clock)
    record.print("\n  [green]ok[/]    " + "word " * 30 + "[bold]end[/]")
    lines, _ = record.frames()
    shown = [[(run.column, run.text, bool(run.style.bold)) for run in runs] for runs in lines[1:]]
    first, rest = " ".join(["word"] * 17), " ".join(["word"] * 13)
    assert shown == [[], [(2, "ok", False), (8, first, False)], [(8, rest, False), (73, "end", True)]]
    assert all(run.column + len(run.text) <= recording.COLUMNS for runs in lines for run in runs)


def test_changes_within_a_moment_are_one_frame():
    clock = Clock()
    record = Recording("dicectl demo", clock)
    clock.now += 1
    for on in (0, 1, 0, 1):
        record.live(lamps(on))
        clock.now += 0.001
    clock.now += 1
    record.live(lamps(1))  # unchanged
    assert len(record.frames()[1]) == 2
