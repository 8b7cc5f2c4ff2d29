# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Markers by folder and by fixture, a time limit for every test, a record of all nonces, and DICE_NO_SKIP.

If DICE_NO_SKIP=1 is set, as in the gate, a test that would be skipped fails, because nothing may be missing there.
"""

import gc
import os
import signal
from pathlib import Path

import pytest

from host_tests import nonces, postgresql, registries, time_limit

FOLDER = Path(__file__).parent
OF_FOLDER = {"emulated": "firmware", "install": "long", "interop": "interop", "net": "network"}  # markers
OF_FIXTURE = {"firmware": "firmware", "in_network": "network"}
# Files whose tests take minutes begin first, so that they do not end last. xdist itself begins with the groups of most tests.
FIRST = ("test_year", "test_manager_crashes", "test_near_wrap")
# The time limits of tests with a marker; pyproject.toml has that of the others.
LIMITS_S = {"firmware": 1800, "interop": 900, "network": 900, "long": 1800, "on_demand": 7200}


def pytest_configure(config):
    # A run in the background, or under nohup, would hand these to the programs under test as ignored, and they could not be ended.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    config.pluginmanager.register(time_limit)
    nonces.install()


def pytest_collection_finish():
    """Let the garbage collector look rarely, and at nothing that is there before the first test: it took a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


@pytest.fixture(autouse=True)
def _nonces(request):
    """Fail a test in which a pair of key and nonce has sealed two contents."""
    nonces.RECORD.begin(request.node.nodeid.removeprefix("host_tests/").startswith(nonces.STRICT))
    yield
    wrong = nonces.verdict(request.node.nodeid)
    if wrong:
        pytest.fail(wrong, pytrace=False)


@pytest.fixture
def recorded_processes(_nonces, tmp_path, monkeypatch):
    """Record what the Python processes seal that the test starts, as what the test itself does."""
    path = tmp_path / "sealed"
    for name, value in nonces.environment(path).items():
        monkeypatch.setenv(name, value)
    yield path
    nonces.RECORD.read(path)


@pytest.fixture(scope="session")
def postgres():
    """Return a postgresql.Server, one for each worker; database() makes a new database."""
    if not postgresql.programs():
        pytest.skip(f"PostgreSQL is missing: {postgresql.HOW}")
    with postgresql.server() as running:
        yield running


@pytest.fixture
def sqlite_backend(tmp_path):
    """Return a registries.SqliteBackend."""
    return registries.SqliteBackend(tmp_path)


@pytest.fixture
def postgresql_backend(postgres):
    """Return a registries.PostgresqlBackend."""
    return registries.PostgresqlBackend(postgres)


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request):
    """Return a registry's backend of each kind in turn."""
    return request.getfixturevalue(f"{request.param}_backend")


def _markers(item):
    """Return the markers of a test that follow from its folder and its fixtures."""
    path = item.path
    if path.is_relative_to(FOLDER):
        yield OF_FOLDER.get(path.relative_to(FOLDER).parts[0])
    for fixture in getattr(item, "fixturenames", ()):
        yield OF_FIXTURE.get(fixture)


def _group(item):
    """Return the group of a test, for `--dist loadgroup`: tests that share what a module's fixture has made run on one worker."""
    marker = item.get_closest_marker("xdist_group")
    shares = any(fixtures[-1].scope == "module" for fixtures in item._fixtureinfo.name2fixturedefs.values())
    return marker.args[0] if marker else item.path.stem if shares else None


def _name_group(item):
    """Put the group into the name of a test, where xdist's scheduler looks for it.

    pytest-xdist 3.8 does so itself, but pytest 9.2 does not see it, and groups have no effect (its issue 1386).
    """
    group = _group(item)
    if group and getattr(item.config.option, "loadgroup", False) and not item.nodeid.endswith("@" + group):
        item._id = type(item.id).parse(f"{item.nodeid}@{group}")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Mark each test; leave out those on demand unless `-m` names them. Put the group of each into its name, for xdist."""
    for item in items:
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid}: its name differs in each process, and xdist stops: give ids to its parameters")
        for marker in filter(None, set(_markers(item))):
            item.add_marker(marker)
        if _group(item):
            item.add_marker(pytest.mark.xdist_group(_group(item)))
        limits = [limit for marker, limit in LIMITS_S.items() if item.get_closest_marker(marker)]
        if limits and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(max(limits)))
    if "on_demand" not in config.option.markexpr:
        left_out = [item for item in items if item.get_closest_marker("on_demand")]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if not item.get_closest_marker("on_demand")]
    items.sort(key=lambda item: FIRST.index(item.path.stem) if item.path.stem in FIRST else len(FIRST))
    yield
    for item in items:
        _name_group(item)


def _no_skip(report):
    if os.environ.get("DICE_NO_SKIP") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"DICE_NO_SKIP is set, and this would have been skipped. {reason}"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    return _no_skip((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(collector):
    return _no_skip((yield))
