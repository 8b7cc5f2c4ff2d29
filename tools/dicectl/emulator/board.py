# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Emulated RP2040 boards that run real MicroPython firmware: `EmulatedBoard`, and `run` for one script.

    uf2 = firmware()                                             # $DICE_FIRMWARE, or built by dicectl.firmware.recipe
    lines = run(uf2, "import os; print(os.listdir())", {"hello.txt": b"hello"})

    with EmulatedBoard(uf2, tree("folder"), pty=True) as board:  # board.port is a path for mpremote
        ...
    with EmulatedBoard(uf2, {"main.py": path}) as board:         # runs main.py, as a board does at power on
        board.run("print(1)")                                    # interrupts main.py; through the REPL; raises ScriptError
        board.power_off()                                        # at once, whatever the board is doing
        board.files()                                            # the content of its flash at that moment
        board.power_on()                                         # boots from it

Each board is a process of its own (`dicectl.emulator.process`). Times measured on a board are the device's: cycles of a 125 MHz
Cortex-M0+. The emulator takes 1 to 3 times as long. Two things are not emulated: the time that the flash takes to erase and to
program, and the second core.
"""

import importlib.util
import mmap
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dicectl.emulator import compile
from dicectl.errors import NO_DEVICE, USAGE, CommandError

_RAW_PROMPT = b"raw REPL; CTRL-B to exit\r\n>"
_INTERRUPT, _RAW, _END = b"\x03", b"\x01", b"\x04"


class ScriptError(CommandError):
    """A script failed on a board. The message is the device's traceback; `output` is what the script had printed."""

    def __init__(self, message, output):
        super().__init__(message)
        self.output = output


def firmware(path=None, profile="full", progress=lambda *_: None):
    """Return the path of the UF2 to boot: `path`, else $DICE_FIRMWARE, else RPI_PICO's as `dicectl build --no-app` makes it.

    Compiles the emulator first unless that was done. Raises CommandError.
    """
    compile.ensure(progress)
    given = path or os.environ.get("DICE_FIRMWARE")
    if given:
        if not Path(given).is_file():
            raise CommandError(
                f"{'there is no' if path else '$DICE_FIRMWARE:'} {given}: make one with dicectl build RPI_PICO", USAGE
            )
        return Path(given)
    from dicectl.firmware import recipe

    return recipe.firmware("RPI_PICO", profile=profile, progress=progress) / "firmware.uf2"


def check():
    """Raise CommandError if the emulator is not installed."""
    if not all(importlib.util.find_spec(module) for module in ("rp2040py", "littlefs")):
        raise CommandError("the emulator is not installed: pip install 'dice-dtls[emulator]'", NO_DEVICE)


def tree(*folders):
    """Return the files below folders as {path on the board: path here}."""
    found = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise CommandError(f"{folder} is not a folder", USAGE)
        found.update({path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()})
    return found


def _disk(blocks=None, **options):
    """Return a littlefs with the block size of MicroPython on a RPI_PICO, and as many blocks or `blocks`, not mounted."""
    from littlefs import LittleFS, UserContext

    from dicectl.emulator.process import layout

    place = layout()
    size, count = place.fs_blocksize, blocks or place.fs_blockcount
    return LittleFS(UserContext(size * count), mount=False, block_size=size, block_count=count, **options)


def make_image(files, blocks=None):
    """Return the bytes of a file system with `files`, {path on the board: bytes, or path here}; `blocks` as in _disk()."""
    from littlefs import LittleFSError

    disk = _disk(blocks, disk_version=0x00020000)  # all versions of MicroPython read it
    disk.format()
    disk.mount()
    for name, content in files.items():
        name = name.strip("/")
        if "/" in name:
            disk.makedirs(name.rpartition("/")[0], exist_ok=True)
        try:
            with disk.open(name, "wb") as file:
                file.write(content if isinstance(content, (bytes, bytearray)) else Path(content).read_bytes())
        except (OSError, LittleFSError) as error:
            raise CommandError(f"cannot put {name} onto the board: {error}")
    disk.unmount()
    return bytes(disk.context.buffer)


def read_image(image):
    """Return {path: bytes} of the files in the bytes of a file system."""
    disk = _disk()
    disk.context.buffer[:] = image
    disk.mount()
    found = {}
    for folder, _, names in disk.walk("/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            with disk.open(path, "rb") as file:
                found[path.strip("/")] = file.read()
    return found


def _text(data):
    return data.decode(errors="replace").replace("\r\n", "\n")


def _drain(stream):
    """Discard the bytes that wait in a socket."""
    try:
        while stream.recv(1 << 16, socket.MSG_DONTWAIT):
            pass
    except BlockingIOError:
        pass


class EmulatedBoard:
    """One emulated RP2040; `with` or power_on() powers it on.

    `console` is a socket to its USB serial port (the REPL), `uarts` are two sockets to UART0 and UART1. They stay open when the
    power is off. With `pty`, the USB serial port is a terminal instead, at the path `port`. `files` is {path on the board: bytes,
    or path here}. Unless `paced`, the clock of an idle board runs ahead of real time. Output from before USB is up, 15 ms after
    power on, is lost.
    """

    def __init__(self, firmware, files=None, pty=False, paced=True, name="board"):
        check()
        self.name = name
        self.port = None
        self.console, console = socket.socketpair()
        pairs = [socket.socketpair() for _ in range(2)]
        self.uarts = [near for near, _ in pairs]
        self._inside = [console, *(far for _, far in pairs)]
        self._terminal = ()
        if pty:
            self._terminal = self._open_terminal()
        self._folder = tempfile.TemporaryDirectory(prefix="dice-board-")
        self.flash = Path(self._folder.name) / "flash"
        self.flash.write_bytes(make_image(files or {}))
        self._clock_path = Path(self._folder.name) / "clock"
        self._clock_path.write_bytes(bytes(16))
        with open(self._clock_path, "r+b") as file:
            self._clock = mmap.mmap(file.fileno(), 16)
        self._firmware = firmware
        self._paced = paced
        self._process = None
        self._seen = bytearray()

    def __enter__(self):
        try:
            self.power_on()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def _open_terminal(self):
        import tty

        master, slave = os.openpty()
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        return master, slave  # the slave stays open while clients open and close the port

    def power_on(self):
        """Boot."""
        for stream in (*self._inside, self.console):
            _drain(stream)  # a board that is off receives nothing
        self._seen.clear()
        self._clock[:] = bytes(16)
        console = self._terminal[0] if self._terminal else self._inside[0].fileno()
        descriptors = [console, *(stream.fileno() for stream in self._inside[1:])]
        arguments = [self._firmware, self.flash, self._clock_path, *descriptors, int(self._paced), compile.modules() or ""]
        with open(Path(self._folder.name) / "stderr", "ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dicectl.emulator.process", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                pass_fds=descriptors,
            )

    def power_off(self):
        """Cut the power at once. The flash keeps what it holds at that moment."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self):
        """Power off, and delete the flash."""
        self.power_off()
        for stream in (self.console, *self.uarts, *self._inside):
            stream.close()
        for descriptor in self._terminal:
            os.close(descriptor)
        self._terminal = ()
        self._clock.close()
        self._folder.cleanup()

    def check(self):
        """Raise CommandError unless the emulator is running."""
        if self._process is None:
            raise CommandError(f"{self.name} is powered off")
        if self._process.poll() is not None:
            last = (Path(self._folder.name) / "stderr").read_text().strip().splitlines()[-1:]
            raise CommandError(f"{self.name}: the emulator has stopped{': ' if last else ''}{''.join(last)}")

    def device_us(self):
        """Return the time since power on by the board's clock, in microseconds."""
        return int.from_bytes(self._clock[:8], "little")

    def files(self):
        """Return {path: bytes} of the files that the flash holds now."""
        return read_image(self.flash.read_bytes())

    def run(self, script, timeout_s=600, device_s=None, echo=None):
        """Run the text of a script through the raw REPL and return its output; raises ScriptError with its traceback.

        A running program is interrupted. Variables of earlier scripts are kept. `timeout_s` limits real time, `device_s` the time
        on the board; after either the power is cut. `echo` is called with each piece of output when it arrives.
        """
        end = time.monotonic() + timeout_s
        self.console.sendall(_INTERRUPT * 2 + _RAW)
        self._until(_RAW_PROMPT, end)
        stop_us = self.device_us() + int(device_s * 1e6) if device_s else 0
        self._clock[8:] = stop_us.to_bytes(8, "little")  # before the script starts: an unpaced board may end it in no time
        self.console.sendall(script.encode() + _END)
        self._until(b"OK", end)
        output = _text(self._until(_END, end, echo))
        error = _text(self._until(_END + b">", end))
        self._clock[8:] = bytes(8)
        if error:
            raise ScriptError(error.strip(), output)
        return output

    def _until(self, marker, end, echo=None):
        """Return the bytes from the console before `marker`."""
        echoed = 0
        while True:
            at = self._seen.find(marker)
            output = self._seen if at < 0 else self._seen[:at]
            if echo and len(output) > echoed:
                echo(_text(output[echoed:]))
                echoed = len(output)
            if at >= 0:
                del self._seen[: at + len(marker)]
                return bytes(output)
            self.check()
            silent = not select.select([self.console], (), (), 0.1)[0]
            if not silent:
                self._seen += self.console.recv(1 << 16)
            if time.monotonic() > end or (silent and self._is_stopped()):
                self.power_off()
                which = "has not ended in time" if self.device_us() else "does not boot"
                raise ScriptError(f"{self.name} {which} ({self.device_us() / 1e6:.1f} s on its clock)", _text(output))

    def _is_stopped(self):
        stop_us = int.from_bytes(self._clock[8:], "little")
        return stop_us and self.device_us() >= stop_us


def run(firmware, script, files=None, timeout_s=600, device_s=None, echo=None):
    """Boot `firmware` with `files`, run the text of a script, and return the lines that it printed; raises ScriptError."""
    with EmulatedBoard(firmware, files, paced=False) as board:
        return board.run(script, timeout_s, device_s, echo).splitlines()
