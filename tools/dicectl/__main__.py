# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Entry point: finds commands and turns every failure into one line and an exit status.

A command's module is imported when it is needed, and what is heavy inside the command, so that --help is instant.
"""

import sys

INTERRUPTED = 130  # as a shell says it of a program that Ctrl-C ends

try:
    import contextlib
    import importlib

    import rich_click as click

    from dice import __version__
    from dicectl import ending, errors
    from dicectl.text import printable
except (KeyboardInterrupt, RuntimeError) as interrupt:  # the latter of __set_name__(), until CPython 3.12
    if not isinstance(interrupt.__cause__ or interrupt, KeyboardInterrupt):
        raise
    print("dicectl: interrupted", file=sys.stderr)
    sys.exit(INTERRUPTED)

# The commands in the order in which --help shows them.
PANELS = {
    "To try": ("demo", "node", "emulate"),
    "Managed groups": ("manager", "provision", "group", "ca", "member", "gateway"),
    "Groups without a manager": ("keyring",),
    "Boards": ("deploy", "doctor", "flash", "build", "native", "mip-index"),
    "To develop and measure": ("footprint", "bench", "dtls-client", "dtls-server", "completion"),
}
_IN_LISTS = "\n\t"  # of what click can choose from

# Commands that are not `command` in the module of dicectl.cli with their name.
_ELSEWHERE = {"dtls-client": ("dtls", "client"), "dtls-server": ("dtls", "server"), "mip-index": ("mip_index", "command")}


class Commands(click.RichGroup):
    """The commands of PANELS, each imported when it is asked for: dicectl starts a fifth faster than with all of them."""

    def list_commands(self, context):
        """Return the names of all commands."""
        return [name for names in PANELS.values() for name in names]

    def get_command(self, context, name):
        """Return a command, or None if there is none of that name."""
        if name not in self.list_commands(context):
            return None
        module, attribute = _ELSEWHERE.get(name, (name, "command"))
        return getattr(importlib.import_module(f"dicectl.cli.{module}"), attribute)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dicectl")
def cli():
    """Secured multicast groups for MicroPython devices.

    Begin with `dicectl demo`. To complete commands in your shell, see `dicectl completion --help`.

    Exit status: 0 done, 1 failed, 2 wrong usage, 3 no device, 130 interrupted.
    """


click.rich_click.COMMAND_GROUPS = {"dicectl": [{"name": name, "commands": list(names)} for name, names in PANELS.items()]}


def main():
    """Run the command line."""
    try:
        ending.install()
        status = cli.main(prog_name="dicectl", standalone_mode=False)
        if sys.stdout:
            sys.stdout.flush()  # here a full disk is a failure of the command
    except click.ClickException as error:
        hint = f" (see {error.ctx.command_path} --help)" if getattr(error, "ctx", None) else ""
        status = _failed(printable(error.format_message(), keep=_IN_LISTS) + hint, error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        status = _failed("interrupted", INTERRUPTED)
    except errors.DeviceError as error:
        status = _failed(f"the board failed: {printable(str(error))}")
    except BrokenPipeError:  # as click has it: who reads the output has enough
        ending.discard_output()
        status = errors.FAILED
    except OSError as error:  # of any file that a user has named, or of the output; other exceptions are bugs, with their traceback
        status = _failed(printable(errors.sentence(error)))
    sys.exit(status)


def _failed(message, status=errors.FAILED):
    """Print why a command failed, and return its status; what could not be printed before is given up."""
    ending.discard_output()
    with contextlib.suppress(OSError):
        print(f"dicectl: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    main()
