# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Types of option values, and completions, that several commands share."""

import re

import rich_click as click

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Address(click.ParamType):
    """A multicast address of IPv4 or IPv6."""

    name = "address"

    def convert(self, value, param, ctx):
        """Return the text if it is such an address."""
        from dicectl.net import address

        try:
            return address.text_of(address.packed(value))
        except ValueError:
            return self.fail(
                f"{value} is not a multicast address; use one of 239.0.0.0 to 239.255.255.255, or of IPv6 such as ff15::1:2:3"
            )


_ADDRESS = (
    click.option("--address", type=Address(), help="Multicast address of IPv4 or IPv6.  [default: a random one of 239.255.0.0/16]"),
    click.option("--ipv6", is_flag=True, help="Draw a random IPv6 address of site scope instead."),
)


def with_address(function):
    """Add the options --address and --ipv6."""
    for option in reversed(_ADDRESS):
        function = option(function)
    return function


class Period(click.ParamType):
    """A time such as 90s, 45m, 12h or 30d, from `least_s` to `most_s`; with `zero`, also 0."""

    name = "time"

    def __init__(self, zero=False, least_s=1, most_s=(1 << 32) - 1):
        self._zero = zero
        self._least_s = least_s
        self._most_s = most_s

    def convert(self, value, param, ctx):
        """Return the seconds."""
        if self._zero and value == "0":
            return 0
        match = re.fullmatch(r"(\d{1,9})([smhd])", value)
        seconds = int(match[1]) * _UNITS[match[2]] if match else 0
        if not 0 < seconds < 1 << 32:
            self.fail(f"{value} is not a time such as 90s, 45m, 12h or 30d")
        if not self._least_s <= seconds <= self._most_s:
            self.fail(f"{value} is out of bounds: use {self._least_s}s to {self._most_s}s")
        return seconds


def _starting_with(incomplete, values):
    return [value for value in values if value.casefold().startswith(incomplete.casefold())]


def complete_board(ctx, param, incomplete):
    """Return the boards of boards.toml."""
    from dicectl.firmware import boards

    return _starting_with(incomplete, boards.load())


def complete_profile(ctx, param, incomplete):
    """Return the profiles of lib/manifest.py."""
    from dicectl.firmware import profiles

    return _starting_with(incomplete, profiles.names())


def complete_reason(ctx, param, incomplete):
    """Return the reason codes with their first sentences."""
    from click.shell_completion import CompletionItem

    from dicectl.reasons import SENTENCES

    codes = {f"E{number}": sentences.partition(". ")[0] for number, sentences in SENTENCES.items()}
    return [CompletionItem(code, help=codes[code]) for code in _starting_with(incomplete, codes)]


def _names(ctx, kind):
    """Return the names of groups or devices that the running manager has; none without a manager."""
    import os

    from dicectl.errors import CommandError
    from dicectl.manager import control

    try:
        return control.call(ctx.params.get("registry") or os.environ.get("DICE_MANAGER") or "dice.db", "names")[kind]
    except CommandError:
        return []


def complete_group(ctx, param, incomplete):
    """Return the groups of the running manager."""
    return _starting_with(incomplete, _names(ctx, "groups"))


def complete_device(ctx, param, incomplete):
    """Return the devices of the running manager."""
    return _starting_with(incomplete, _names(ctx, "devices"))


def complete_port(ctx, param, incomplete):
    """Return the serial ports of USB devices."""
    from dicectl.board.raw_repl import found

    return _starting_with(incomplete, found())


_INTERFACE = click.option(
    "--interface",
    envvar="DICE_INTERFACE",
    show_envvar=True,
    help="Where messages of groups are sent and received: the name of an interface, or an address of this computer.  "
    "[default: as the system routes]",
)
_HOPS = click.option(
    "--hops",
    type=click.IntRange(1, 255),
    envvar="DICE_HOPS",
    show_envvar=True,
    help="Hop limit (TTL) of messages to groups: one more than the routers that may pass them on.  [default: 1]",
)


def network_options(function):
    """Add the options --interface and --hops."""
    return _INTERFACE(_HOPS(function))
