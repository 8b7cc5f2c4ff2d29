# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Kinds of values that several commands take."""

import ipaddress
import re

import rich_click as click

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Address(click.ParamType):
    """An IPv4 multicast address."""

    name = "address"

    def convert(self, value, param, ctx):
        """Return the text, if it is one."""
        try:
            if ipaddress.IPv4Address(value).is_multicast:
                return value
        except ValueError:
            pass
        return self.fail(f"{value} is not an IPv4 multicast address; take one of 239.0.0.0 to 239.255.255.255")


class Period(click.ParamType):
    """A time such as 90s, 45m, 12h or 30d."""

    name = "time"

    def convert(self, value, param, ctx):
        """Return the seconds."""
        match = re.fullmatch(r"(\d{1,9})([smhd])", value)
        seconds = int(match[1]) * _UNITS[match[2]] if match else 0
        if not 0 < seconds < 1 << 32:
            self.fail(f"{value} is not a time such as 90s, 45m, 12h or 30d")
        return seconds
