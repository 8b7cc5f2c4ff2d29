# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""docs/handshakes.*, what `dicectl bench --keys` prints, and the certificates that it measures with; emulated/ measures."""

import json
import re
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from dice.codes import USAGE_CLIENT, USAGE_SERVER
from dice.x509 import chain as x509
from dicectl import resources
from dicectl.cli import bench
from dicectl.measure import budgets, chains, key_handshakes, report

SVG = "{http://www.w3.org/2000/svg}"
NOW = 1_800_000_000


@pytest.fixture(scope="module")
def committed():
    return key_handshakes.load()


def test_every_row_was_measured(committed):
    assert list(committed) == [row.name for row in key_handshakes.ROWS]
    codes = {row.code for row in key_handshakes.ROWS if row.kind == "certificate"}
    assert codes == {"python", "small", "fast", "firmware", "tls"}, "issue 15: in one run"
    assert {row.kind for row in key_handshakes.ROWS} == {"psk", "ecdhe_psk", "rpk", "certificate", "chain"}


def test_the_committed_figures_are_of_handshakes_as_described(committed):
    for row in key_handshakes.ROWS:
        here = committed[row.name]
        if row.kind == "chain":
            assert here["chain_us"] > 0
            continue
        assert 0 < here["client_us"] + here["server_us"] <= here["elapsed_us"]
        assert here["heap"] <= here["peak"]
        if row.kind != "psk" and row.code != "tls":
            assert here["backend"] == ("pure" if row.code == "python" else "native"), row.name
        if row.kind in ("psk", "ecdhe_psk", "rpk"):
            assert here["datagrams"] == 6, "with the cookie"
    for kind in ("ecdhe_psk", "rpk", "certificate", "chain"):
        name = "chain_us" if kind == "chain" else "client_us"
        fast, small, pure = (committed[f"{kind}_{code}"][name] for code in ("fast", "small", "python"))
        assert fast < small and fast < pure


def test_whole_handshakes_with_raw_public_keys_have_budgets(committed):
    """Issue 15: 2.5 s in Python, 0.65 s with the fast module, of the client's CPU."""
    allowed = {budget.figure: (budget.limit, budget.unit) for budget in budgets.load()}
    assert allowed["handshakes.rpk_python.client_us"] == (2_500_000, "us")
    assert allowed["handshakes.rpk_fast.client_us"] == (650_000, "us")
    assert budgets.breaches({"handshakes": committed}) == []
    slow = {"handshakes": {"rpk_fast": {"client_us": 650_001}}}
    assert len(budgets.breaches(slow)) == 1


def test_the_documents_agree_with_the_figures(committed):
    for path, text in key_handshakes.generated(committed):
        assert path.read_text() == text, f"{path.name} is stale; run: dicectl bench --keys --write"
    footprint = json.loads(resources.FIGURES.read_text())
    assert footprint["handshakes"] == committed, "run: dicectl footprint --static --write"
    block = report.readme_block(footprint)
    assert "docs/handshakes.svg" in block and "raw public keys" in block
    assert "raw public keys" not in report.readme_block({**footprint, "handshakes": {}})


def numbers(page, start):
    """Return the decimal numbers of a page from `start` to the end of its sentence or row."""
    text = (resources.ROOT / "docs" / page).read_text().replace("\n", " ").replace("| ", "\n| ")
    assert start in text, start
    _, _, rest = text.partition(start)
    return [float(number) for number in re.findall(r"\d+\.\d+", " ".join(rest.split("\n")[:3]).partition("; [")[0])]


def test_what_pages_say_are_the_figures(committed):
    """About: these pages are not generated, and a run may give some bytes more or less."""

    def measured(what, unit, *rows):
        return [committed[row][what] / unit for row in rows]

    time, tls = ("client_us", 1e6), "certificate_tls"
    expected = {
        ("comparison.md", "two from each end: time of the client"): measured(*time, tls, "certificate_fast", "certificate_python"),
        ("comparison.md", "beside its code"): measured("peak", 1024, tls, "certificate_fast"),
        ("comparison.md", "if `dice` is in files"): measured("modules", 1024, "certificate_fast", "certificate_python"),
        ("comparison.md", "on the wire"): measured("bytes", 1000, tls, "certificate_fast"),
        ("certificates.md", "three certificates is verified in"): measured("chain_us", 1e6, "chain_fast", "chain_python"),
    }
    for (page, start), figures in expected.items():
        found = numbers(page, start)
        assert len(found) == len(figures), (page, start, found)
        for said, figure in zip(found, figures):
            assert abs(said - figure) <= 0.03 * figure, (page, start, said, figure)


def test_the_picture_is_well_formed_and_nothing_overlaps(committed):
    root = ElementTree.fromstring(key_handshakes.picture(committed))
    width, height = (float(root.get(name)) for name in ("width", "height"))
    boxes = root.findall(f"{SVG}rect")
    assert len(boxes) == 12 + 5 + 5 + 5
    assert {box.get("class") for box in boxes} == {"dice", "rest", "tls"}
    assert "prefers-color-scheme: dark" in root.find(f"{SVG}style").text
    places = []
    for text in root.findall(f"{SVG}text"):
        long = 7.0 * len(text.text)  # at most, of a letter of 12 px
        x, y = float(text.get("x")), float(text.get("y"))
        left = x - long if text.get("text-anchor") == "end" else x
        places.append((left, y - 12, left + long, y + 3))
    places += [tuple(float(box.get(n)) for n in ("x", "y")) for box in boxes]
    for at, place in enumerate(places):
        if len(place) == 2:
            box = boxes[at - len(places) + len(boxes)]
            places[at] = (*place, place[0] + float(box.get("width")), place[1] + float(box.get("height")))
    for at, (left, top, right, bottom) in enumerate(places):
        assert min(left, top) >= 0 and right <= width and bottom <= height
        for other in places[at + 1 :]:
            apart = right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
            assert apart, (places[at], other)


def test_the_output_is_aligned_tables(committed, monkeypatch):
    monkeypatch.setattr(key_handshakes, "collect", lambda progress, quick: committed)
    done = CliRunner().invoke(bench.command, ["--keys"], catch_exceptions=False)
    about, table, about_chains, chain_table = done.stdout.rstrip().split("\n\n")
    lines = table.splitlines()
    assert len(lines) == 1 + sum(row.kind != "chain" for row in key_handshakes.ROWS)
    assert len({len(line) for line in lines}) == 1
    assert len(chain_table.splitlines()) == 1 + 3 and "trust anchor" in about_chains and "emulated" in about
    assert json.loads(CliRunner().invoke(bench.command, ["--keys", "--json"]).stdout) == committed


@pytest.mark.parametrize("arguments", [["--write"], ["--keys", "--quick", "--write"]])
def test_a_part_of_the_figures_is_not_written(arguments):
    done = CliRunner().invoke(bench.command, arguments)
    assert done.exit_code == 2
    assert "--write is for the figures of --keys" in done.stderr


def test_the_measured_chains_are_right_and_the_same_each_time():
    files = chains.files()
    assert files == chains.files()
    trust = x509.Trust([files["root.der"]])
    for usage, wanted, name in (("server", USAGE_SERVER, chains.SERVER), ("client", USAGE_CLIENT, None)):
        leaf = x509.verify([files[f"{usage}.der"], files["middle.der"]], trust, name, NOW, wanted)
        assert leaf.point == files[f"{usage}.point"]
    scripts = [(resources.ON_DEVICE / f"{name}.py").read_text() for name in ("key_handshakes", "tls_handshake")]
    assert all(re.search(rf'^NAME = "{re.escape(chains.SERVER)}"$', script, re.MULTILINE) for script in scripts)
