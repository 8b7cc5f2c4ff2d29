# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Gives network tests a network of their own: a function runs in a child process inside a new namespace."""

import multiprocessing
import traceback
from functools import partial

import pytest

from dicectl.errors import CommandError
from dicectl.net import namespace


def _child(pipe, ipv6, function, arguments):
    try:
        namespace.enter(ipv6)
    except CommandError as failure:
        pipe.send(("skip", failure.format_message()))
        return
    try:
        pipe.send(("done", function(*arguments)))
    except BaseException:
        pipe.send(("failed", traceback.format_exc()))


def _run(ipv6, function, *arguments):
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sending, ipv6, function, arguments))
    process.start()
    sending.close()
    try:
        outcome, result = receiving.recv()
    except EOFError:
        outcome, result = "failed", "the process in the namespace died"
    process.join()
    if outcome == "skip":
        pytest.skip(result)
    if outcome == "failed":
        pytest.fail(result)
    return result


@pytest.fixture
def in_network():
    """Return a function that calls another one inside a new network namespace and returns its result."""
    return partial(_run, False)


@pytest.fixture
def in_ipv6_network():
    """Return a function like that of in_network; the namespace has IPv6 alone, except for `lo`."""
    return partial(_run, True)
