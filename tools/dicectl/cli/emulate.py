# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl emulate`: real MicroPython firmware on emulated RP2040 boards."""

import contextlib
import json
import select
import subprocess
import sys
import threading
import time
from pathlib import Path

import rich_click as click

from dicectl.errors import USAGE, CommandError

_BOARDS_MAX = 16


class _Printer:
    """Prints what boards say, line by line, with the number of the board where there are several."""

    def __init__(self, many, as_json):
        self._many = many
        self._json = as_json
        self._rest = {}
        self._lock = threading.Lock()

    def say(self, number, text):
        """Print the lines that are whole with `text`; one board's text comes as it is."""
        with self._lock:
            if not (self._many or self._json):
                click.echo(text, nl=False)
                return
            *lines, self._rest[number] = (self._rest.get(number, "") + text).split("\n")
            for line in lines:
                click.echo(json.dumps({"board": number, "line": line}) if self._json else f"{number}: {line}")

    def end(self, number, board, error):
        """Print how a script ended."""
        if self._rest.get(number):
            self.say(number, "\n")
        with self._lock:
            if self._json:
                click.echo(json.dumps({"board": number, "error": error, "device_us": board.device_us()}))
            elif error:
                click.echo(f"{number}: {error}" if self._many else error, err=True)


def _run(board, number, script, timeout_s, printer, failed):
    """Run the text of a script on a board, or without one listen to its main.py."""
    error = None
    try:
        if script is None:
            _listen(board, number, timeout_s, printer)
        else:
            board.run(script, timeout_s, echo=lambda text: printer.say(number, text))
    except CommandError as failure:
        error = failure.format_message()
        failed.append(number)
    printer.end(number, board, error)


def _listen(board, number, timeout_s, printer):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        board.check()
        if select.select([board.console], (), (), 0.1)[0]:
            printer.say(number, board.console.recv(1 << 16).decode(errors="replace").replace("\r\n", "\n"))


def _files(folders, number):
    """Return the files of the --files options that mean board `number`."""
    from dicectl.emulator.board import tree

    wanted = []
    for folder in folders:
        head, colon, rest = folder.partition(":")
        if not (colon and head.isdigit()):
            wanted.append(folder)
        elif int(head) == number:
            wanted.append(rest)
    return tree(*wanted)


def _talk(board):
    """Give the terminal to mpremote."""
    status = subprocess.run([sys.executable, "-m", "mpremote", "connect", board.port, "repl"]).returncode
    if status:
        raise CommandError("mpremote has failed, see above")


def _wait(boards, as_json):
    """Say where the serial ports are, and wait for Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        for number, board in enumerate(boards, 1):
            click.echo(json.dumps({"board": number, "port": board.port}) if as_json else f"mpremote connect {board.port}")
        while True:
            for board in boards:
                board.check()
            time.sleep(0.2)


def _run_all(boards, script, timeout_s, printer):
    failed = []
    threads = [
        threading.Thread(target=_run, args=(board, number, script, timeout_s, printer, failed), daemon=True)
        for number, board in enumerate(boards, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 1 if failed else 0


def _join(bus, boards):
    for board in boards:
        bus.join(board.name, board.uarts[0])


@click.command("emulate")
@click.argument("script", type=click.Path(dir_okay=False, exists=True, path_type=Path), required=False)
@click.option(
    "--firmware", "uf2_path", type=click.Path(), help="UF2 to boot.  [default: $DICE_FIRMWARE, else built with dice frozen]"
)
@click.option(
    "--files", "folders", multiple=True, metavar="[N:]DIR", help="Copy DIR's files into the flash, with N: of board N alone."
)
@click.option("--boards", "count", type=click.IntRange(1, _BOARDS_MAX), default=1, show_default=True, help="How many boards.")
@click.option("--bus", is_flag=True, help="Join UART0 of all boards, as on RS-485: what one sends, all others receive.")
@click.option("--repl", is_flag=True, help="Type at the board through mpremote; Ctrl-] ends.")
@click.option("--pty", is_flag=True, help="Print the path of the board's serial port, for mpremote, and run until Ctrl-C.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=600, show_default=True, help="Seconds until the end.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines: what boards say, then how each ended.")
def command(script, uf2_path, folders, count, bus, repl, pty, timeout, as_json):
    """Run SCRIPT on an emulated RP2040, or on several: MicroPython's own firmware, with dice in it.

    Without SCRIPT, a board runs the main.py that --files brings, until Ctrl-C or the end of --timeout. Times on the board are
    the device's own: cycles of a 125 MHz Cortex-M0+. The emulator takes 5 to 10 times as long where the board computes (four
    times that where it was not compiled for your Python, which `make` does), and no longer where it idles. The exit status
    is 1 when a script raises, and its traceback is printed.

    \b
    Examples:
      dicectl emulate hello.py                a script, in a second or two
      dicectl emulate hello.py --files lib    with files in the flash
      dicectl emulate --repl                  type at the board
      dicectl emulate --pty                   then: mpremote connect PATH ls
      dicectl emulate --boards 2 --bus --files common --files 1:switch --files 2:lamp
    """
    from dicectl.system import require_unix

    require_unix("dicectl emulate")
    from dicectl.emulator.board import EmulatedBoard, check, firmware
    from dicectl.emulator.bus import Bus

    if sum(map(bool, (script, repl, pty))) > 1:
        raise CommandError("SCRIPT, --repl and --pty all want the serial port: choose one", USAGE)
    if repl and (count > 1 or as_json):
        raise CommandError("--repl is for one board and a person: leave out --boards and --json", USAGE)
    check()
    files = [_files(folders, number) for number in range(1, count + 1)]
    if not (script or repl or pty) and not all("main.py" in each for each in files):
        raise CommandError("nothing to run: give a SCRIPT, --repl, --pty, or --files with a main.py for every board", USAGE)
    uf2 = firmware(uf2_path)
    with contextlib.ExitStack() as stack:
        boards = [
            stack.enter_context(EmulatedBoard(uf2, each, pty=repl or pty, paced=count > 1 or not script, name=f"board {number}"))
            for number, each in enumerate(files, 1)
        ]
        if bus:
            _join(stack.enter_context(Bus()), boards)
        if repl:
            return _talk(boards[0])
        if pty:
            return _wait(boards, as_json)
        return _run_all(boards, script and script.read_text(), timeout, _Printer(count > 1, as_json))
