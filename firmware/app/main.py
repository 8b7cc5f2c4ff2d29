# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Starts the node. If it failed too often in a row, ten minutes of safe mode precede each start; Ctrl-C leads to the prompt.

Copy this folder, and edit sensors.py and node() below. docs/app.md describes the files beside it, such as app.json and pins.json.
"""

import asyncio
import json
import os

import buttons
import link
import safe
import sensors
from node import Node
from status import Led

from dice import read_file


def read(name, *keys):
    """Return the contents of a JSON file, a dict that has `keys`, or None; what is wrong with it is said."""
    try:
        found = read_file(name, json.loads)  # also after a power cut while it was replaced
        if found is not None:
            for key in keys:
                found[key]
            return dict(found)
        error = "is not there"
    except Exception as damaged:
        error = damaged
    if keys or error != "is not there":
        print("trouble:", name, type(error).__name__, error)
    return None


def node(measure=True):
    """Begin to bring up the network; return the node that node.json and app.json configure, without a sensor if not `measure`.

    A file that is damaged costs what it configures: without node.json the node takes part in all groups that it has keys of.
    """
    options = read("app.json") or {}
    settings = read("node.json", "identity", "groups")
    if settings and "private" not in settings:
        settings = read("node.json", "key")
    if settings is None:
        settings = {"groups": [name[:-4] for name in os.listdir() if name.endswith(".gsa")]}
    led = Led(options.get("led"))
    sensor = sensors.make(options.get("sensor", "chip"), options) if measure else None
    button = buttons.make(options["button"]) if measure and "button" in options else None
    network = link.up(options)
    return Node(
        settings,
        options,
        sensor,
        light=led.light,
        status=led.show,
        network=network,
        ready=lambda: link.ready(options),
        look_up=lambda host: link.look_up(options, host),
        keep=lambda reached, changed: link.keep(options, reached, changed),
        button=button,
    )


async def main(made=None, seconds=None):
    """Run the node, which is put into the list `made`; in safe mode take part in its groups for so many seconds."""

    made = [] if made is None else made

    async def work():  # under the watchdog
        made.append(node(seconds is None))
        await (made[-1].run() if seconds is None else made[-1].take_part(seconds))

    if seconds is None:
        await safe.stay_up(work(), sleeps=bool((read("app.json") or {}).get("sleep_s")))
    else:
        await safe.stay_up(work(), None)
        made.pop().close()


def start():
    """Run the node, in safe mode first if it has failed too often. It leaves in good order, also on Ctrl-C and on a soft reset."""
    made = []
    try:
        if not safe.may_start():
            print("safe mode: the program failed %d times in a row; it starts again in %d s" % (safe.STARTS_MAX, safe.REST_S))
            print("Ctrl-C leads to the prompt: repair it, then call safe.reset()")
            if safe.may_take_part():
                asyncio.run(main(made, safe.REST_S))
            else:
                safe.rest()
            safe.allow_one()
        asyncio.run(main(made))
    except KeyboardInterrupt:
        safe.interrupted()  # first: a second Ctrl-C may interrupt what follows
        raise
    finally:
        for each in made:
            each.close()


if __name__ == "__main__":
    try:
        start()
    except Exception as error:
        safe.failed(error)
        raise
