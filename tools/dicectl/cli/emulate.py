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
    """Prints the output of boards; with several boards or as JSON line by line, with the number of the board."""

    def __init__(self, many, as_json):
        self._many = many
        self._json = as_json
        self._rest = {}
        self._lock = threading.Lock()

    def say(self, number, text):
        """Print the lines that `text` completes; the text of a single board is printed as it arrives."""
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
    """Run the text of a script on a board; without one, print the output of its main.py."""
    error = None
    try:
        if script is None:
            _listen(board, number, timeout_s, printer)
        else:
            board.run(script, timeout_s, echo=lambda text: printer.say(number, text))
    except CommandError as failure:
        error = failure.format_message()
        failed.append(number)
    except Exception as failure:  # in a thread: nobody else would tell
        error = f"{type(failure).__name__}: {failure}"
        failed.append(number)
    printer.end(number, board, error)


def _listen(board, number, timeout_s, printer):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        board.check()
        if select.select([board.console], (), (), 0.1)[0]:
            printer.say(number, board.console.recv(1 << 16).decode(errors="replace").replace("\r\n", "\n"))


def _files(folders, number):
    """Return the files of the --files options for board `number`."""
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
    """Connect the terminal to a board, by mpremote."""
    status = subprocess.run([sys.executable, "-m", "mpremote", "connect", board.port, "repl"]).returncode
    if status:
        raise CommandError("mpremote failed, see above")


def _wait(boards, as_json):
    """Print the serial ports, and wait for Ctrl-C."""
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
    "--firmware", "uf2_path", type=click.Path(), help="UF2 to boot.  [default: $DICE_FIRMWARE, otherwise built with dice]"
)
@click.option(
    "--files", "folders", multiple=True, metavar="[N:]DIR", help="Copy DIR's files to the flash; with N: only of board N."
)
@click.option("--boards", "count", type=click.IntRange(1, _BOARDS_MAX), default=1, show_default=True, help="Number of boards.")
@click.option("--bus", is_flag=True, help="Connect UART0 of all boards as on RS-485: each receives what another one sends.")
@click.option("--repl", is_flag=True, help="Open the REPL of the board with mpremote; Ctrl-] ends it.")
@click.option("--pty", is_flag=True, help="Print the path of the board's serial port, for mpremote, and run until Ctrl-C.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=600, show_default=True, help="Time limit in seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines: the output of boards, then how each one ended.")
def command(script, uf2_path, folders, count, bus, repl, pty, timeout, as_json):
    """Run SCRIPT on one or several emulated RP2040s, which run MicroPython's own firmware with dice in it.

    Without SCRIPT, a board runs the main.py that --files copies, until Ctrl-C or the end of --timeout. Times on the board are
    those of the device: cycles of a 125 MHz Cortex-M0+. The emulator takes 1 to 3 times as long while the board computes (twenty
    times that if it is not compiled for your Python, which `make` does), and the same time while it is idle. The exit status is 1
    if a script raises an exception; its traceback is printed.

    \b
    Examples:
      dicectl emulate hello.py                a script, in a second or two
      dicectl emulate hello.py --files lib    with files in the flash
      dicectl emulate --repl                  use the REPL
      dicectl emulate --pty                   then: mpremote connect PATH ls
      dicectl emulate --boards 2 --bus --files common --files 1:switch --files 2:lamp
    """
    from dicectl.system import require_unix

    require_unix("dicectl emulate")
    from dicectl.emulator.board import EmulatedBoard, check, firmware
    from dicectl.emulator.bus import Bus

    if sum(map(bool, (script, repl, pty))) > 1:
        raise CommandError("SCRIPT, --repl and --pty all use the serial port: choose one", USAGE)
    if repl and (count > 1 or as_json):
        raise CommandError("--repl is interactive and for one board: omit --boards and --json", USAGE)
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
