# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The needs that `dicectl deploy` reads off a program: modules that the board's firmware may lack, and the pins of its board."""

import json

import pytest

from dicectl import resources
from dicectl.board import needs
from dicectl.errors import FAILED, CommandError
from dicectl.firmware import boards

ON_A_LINE = {"bus"}  # the examples that run on a Pico, which has neither sockets nor a radio
OPTIONAL = {"boot"}  # an example that says so itself


class Firmware:
    """A double of a board: its firmware has all modules but these."""

    def __init__(self, *lacking):
        self.lacking = lacking

    def call(self, function, names):
        assert function == "lacks"
        return [[name for name in names if name in self.lacking]]


PICO = Firmware("network", "socket", "espnow", "esp32", "bluetooth", "ssl", "tls")
PICO_W = Firmware("espnow", "esp32")
ESP32 = Firmware("rp2")


def example(name):
    return {"/main.py": resources.EXAMPLES / f"{name}.py"}


@pytest.mark.parametrize("name", sorted(path.stem for path in resources.EXAMPLES.glob("*.py")))
def test_an_example_that_a_board_cannot_run_is_refused(name):
    needs.check(ESP32, example(name))
    if name in ON_A_LINE | OPTIONAL:
        needs.check(PICO, example(name))
    else:
        with pytest.raises(CommandError) as caught:
            needs.check(PICO, example(name))
        said = caught.value.format_message()
        assert caught.value.exit_code == FAILED and "/main.py" in said and "--no-check" in said and "\n" not in said
        assert ("`espnow`" if name == "radio" else "`socket`") in said
        assert ("bus.py" in said) == (name != "radio")
    if name == "radio":
        with pytest.raises(CommandError, match="espnow"):
            needs.check(PICO_W, example(name))
    else:
        needs.check(PICO_W, example(name))


@pytest.mark.parametrize(
    ("program", "lacking"),
    [
        ("import socket", "socket"),
        ("def f():\n    from network import WLAN", "network"),
        ("import dice\nasync def f():\n    await dice.join('a.gsa')", "socket"),
        ("import dice as d\nasync def f():\n    await d.connect(('a', 1), None)", "socket"),
        ("from dice import serve as run\nasync def f():\n    await run(1, None, None)", "socket"),
        ("from dice import attach\nattach(None, None)", "socket"),
        ("from dice.transport.udp import Unicast", "socket"),
        ("def f():\n    from dice.transport import udp", "socket"),
        ("from dice.transport import slip, espnow", None),
        ("try:\n    import socket\nexcept ImportError:\n    socket = None", None),
        ("import sys\nif sys.platform == 'esp32':\n    import esp32", None),
        ("import dice\nasync def f(line):\n    await dice.join('a.gsa', transport=line)", None),
        ("import dice\nasync def f(line):\n    await dice.join('a.gsa', None, line)", None),
        ("import dice\nasync def f(net):\n    await dice.connect(('a', 1), None, network=net)", None),
        ("import dice\nasync def f(**options):\n    await dice.serve(1, None, None, **options)", None),
        ("import os\nos.path.join('a', 'b')\n', '.join([])", None),
        ("import struct, asyncio, machine, nonsense", None),
        ("def f(:", None),
        ("", None),
    ],
)
def test_a_program_needs_what_it_imports_for_certain_and_sockets_for_dice_without_a_line(tmp_path, program, lacking):
    (tmp_path / "main.py").write_text(program)
    sources = {"/main.py": tmp_path / "main.py", "/node.gsa": tmp_path / "node.gsa"}
    if lacking:
        with pytest.raises(CommandError, match=f"needs `{lacking}`"):
            needs.check(PICO, sources)
    else:
        needs.check(PICO, sources)


@pytest.mark.parametrize(
    ("program", "lacking"),
    [
        (
            "import dice\nasync def main():\n    await dice.connect(1, dice.Psk(b'', b''))\n",
            "dice.Psk, dice.connect: choose --profile full or",
        ),
        ("from dice import join\n", "dice.join: choose --profile full"),
        ("from dice.group.member import Member\nimport dice.dtls.client\n", "dice.dtls.client: choose --profile psk or"),
        ("import dice.coap.codes\nfrom dice import GET\n", "dice.GET, dice.coap.codes: choose --profile full"),
        ("import dice\nif 1:\n    dice.connect\ndice.PeerError, dice.FileStore, dice.__version__, dice.no_such_name\n", None),
        ("from dice.group.member import Member\nfrom dice.record import seal\nfrom dice.limits import KEY_RECORDS_MAX\n", None),
    ],
)
def test_a_profile_contains_what_a_program_uses(tmp_path, program, lacking):
    (tmp_path / "own.py").write_text(program)
    (tmp_path / "main.py").write_text("import own\n")
    sources = {"/main.py": tmp_path / "main.py", "/own.py": tmp_path / "own.py"}
    needs.check_profile(sources, "full")
    if lacking is None:
        needs.check_profile(sources, "group")
        return
    with pytest.raises(CommandError, match=lacking) as caught:
        needs.check_profile(sources, "group")
    assert str(caught.value).startswith("/own.py cannot run with profile group, which lacks ") and caught.value.exit_code == FAILED


@pytest.mark.parametrize("folder", [resources.EXAMPLES, resources.APP], ids=["examples", "app"])
def test_examples_and_application_run_with_the_full_profile(folder):
    for path in folder.glob("*.py"):
        if path.stem == "keyed_sensor":
            needs.check_profile({"/main.py": path}, "public-keys")
            with pytest.raises(CommandError, match=r"lacks .*dice.Certificate.*: choose --profile public-keys; "):
                needs.check_profile({"/main.py": path}, "full")
        else:
            needs.check_profile({"/main.py": path}, "full")


def test_a_module_of_the_program_itself_is_not_the_firmwares(tmp_path):
    for name in ("main.py", "network.py"):
        (tmp_path / name).write_text("import network")
    needs.check(PICO, {f"/{name}": tmp_path / name for name in ("main.py", "network.py")})


def test_a_module_that_is_imported_late_or_not_at_all_is_not_needed(tmp_path):
    """A module that is imported at the start is."""
    (tmp_path / "main.py").write_text("import a\ndef f():\n    import b")
    for name, text in (("a", "import c"), ("b", "import socket"), ("c", "import a"), ("d", "import socket")):
        (tmp_path / f"{name}.py").write_text(text)
    sources = {f"/{path.name}": path for path in tmp_path.iterdir()}
    needs.check(PICO, sources)
    (tmp_path / "c.py").write_text("import a\nimport socket")
    with pytest.raises(CommandError, match=r"/c\.py cannot run"):
        needs.check(PICO, sources)


@pytest.mark.parametrize(
    ("options", "fits"), [('{"led": "LED"}', False), ('{"serial": {"address": "10.77.0.5"}}', True), ("{", True), (None, True)]
)
@pytest.mark.parametrize("frozen", [False, True])
def test_a_node_without_sockets_needs_a_line(tmp_path, options, fits, frozen):
    """Whether its modules are frozen or copied. The board may have an app.json already."""
    names = ["main.py"] if frozen else [path.name for path in resources.APP.glob("*.py")]
    sources = {f"/{name}": resources.APP / name for name in names}
    if options:
        (tmp_path / "app.json").write_text(options)
        sources["/app.json"] = tmp_path / "app.json"
    needs.check(ESP32, sources)
    if fits:
        needs.check(PICO, sources)
    else:
        with pytest.raises(CommandError, match=r'app\.json has no "serial".*`socket`'):
            needs.check(PICO, sources)


@pytest.mark.parametrize("board", boards.load().values(), ids=lambda board: board.name)
@pytest.mark.parametrize("path", [resources.EXAMPLES / "lamp.py", resources.APP / "main.py"], ids=lambda path: path.stem)
def test_a_board_unlike_a_pico_gets_its_pins(board, path):
    """A Pico needs no file. A file of the user's, on the board or among those to copy, stays as it is."""
    sources = {"/main.py": path}
    made = needs.pins(board.machine, sources)
    if board.pins == boards.usual_pins() or not board.pins:
        assert made == {}
    else:
        assert json.loads(made["/pins.json"]) == board.pins
        (note,) = needs.notes(board.machine, sources, made, {})
        assert board.name in note
        (note,) = needs.notes(board.machine, sources, made, {"/pins.json": ""})
        assert "stays as it is" in note
    assert needs.pins(board.machine, {**sources, "/pins.json": path}) == {}
    assert needs.pins(board.machine, {"/main.py": resources.EXAMPLES / "sensor.py"}) == {}


def test_a_variant_of_a_board_has_its_pins_and_an_unknown_board_has_none():
    variant = "Generic ESP32S3 module with Octal-SPIRAM with ESP32S3"
    assert boards.of_machine(variant) is boards.find("ESP32_GENERIC_S3")
    sources = example("lamp")
    assert json.loads(needs.pins(variant, sources)["/pins.json"]) == boards.find("ESP32_GENERIC_S3").pins
    assert needs.pins("Some board with ESP32", sources) == {}
    (note,) = needs.notes("Some board with ESP32", sources, {}, {})
    assert "no pins of Some board with ESP32 are known" in note and "pins.json" in note
    assert needs.notes("Some board with ESP32", sources, {}, {"/pins.json": ""}) == []
    assert needs.notes("Some board with ESP32", example("sensor"), {}, {}) == []
