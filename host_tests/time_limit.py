# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The time limit of every test: pytest-timeout measures it, this plugin makes sure that the test ends and leaves no process.

pytest-timeout raises once, in the main thread. A test that then waits for a child, as `with subprocess.Popen(...)` does, would
hang. So at the limit all descendants of this process are killed first, and the alarm repeats until the test has ended. Teardown
has a time limit of its own.
"""

import os
import signal

import pytest

AGAIN_S = 15  # the alarm repeats after this time until the test has ended


def descendants():
    """Return the ids of all descendants of this process, parents first; none without Linux's /proc."""
    children = {}
    for name in os.listdir("/proc") if os.path.exists("/proc/self/stat") else ():
        if name.isdecimal():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue  # it has ended in the meantime
            children.setdefault(parent, []).append(int(name))
    found = [os.getpid()]
    for process in found:
        found += children.get(process, ())
    return found[1:]


def end_descendants():
    """Kill all descendants of this process."""
    for process in descendants():
        try:
            os.kill(process, signal.SIGKILL)
        except OSError:
            pass


def pytest_timeout_set_timer(item, settings):
    """Set the timer of one test; called by pytest-timeout."""
    import pytest_timeout

    item.time_limit = settings
    if settings.method != "signal":
        return None  # pytest-timeout uses a thread for this

    def ring(_number, _frame):
        __tracebackhide__ = True
        if not pytest_timeout.is_debugging():
            end_descendants()
        pytest_timeout.timeout_sigalrm(item, settings)

    def cancel():
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    item.cancel_timeout = cancel
    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, settings.timeout, AGAIN_S)
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item, call):
    """Stop the timer of a failed test before the report is made, which it must not interrupt."""
    if call.excinfo and hasattr(item, "cancel_timeout"):
        item.cancel_timeout()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item):
    """Set the timer again. pytest-timeout stops it when a test fails, but a fixture can hang too."""
    settings = getattr(item, "time_limit", None)
    if settings:
        item.ihook.pytest_timeout_set_timer(item=item, settings=settings)
    return (yield)
