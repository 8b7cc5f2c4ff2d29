# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The rows of lib/dice: a module imports only from rows below its own, and what it must not know it does not import."""

import ast
from pathlib import Path

import pytest

LIB = Path(__file__).resolve().parents[2] / "lib"

ROWS = [
    {"_compat", "_cpython", "_posix", "codes", "errors", "limits", "reasons"},
    {
        "wire",
        "replay",
        "store",
        "crypto",
        "crypto.blocks",
        "crypto.blocks_viper",
        "crypto.hmac",
        "crypto.host",
    },
    {"suites", "record"},
    {"record_layer", "messages", "server_messages", "keys", "flights", "resumption"},
    {"handshake", "kx_psk", "kx_psk_server"},
    {
        "client",
        "server",
        "group",
        "group.response",
        "group.keeper",
        "group.gsa",
        "group.context",
        "group.ledger",
        "group.member",
        "group.manager",
        "coap",
        "coap.message",
        "coap.exchange",
        "coap.resource",
        "coap.block",
        "coap.multicast",
    },
    {"session", "listener", "sleep", "", "aio", "coaps", "dtls", "ip", "pump", "radio", "serial", "udp"},
    {"groupcomm", "kdc", "managed"},
]

# Within a row, from the one that imports to what it may import.
WITHIN = {
    "_compat": {"_cpython", "_posix"},
    "errors": {"_compat"},
    "codes": {"_compat"},
    "limits": {"_compat"},
    "reasons": {"_compat"},
    "crypto": {"crypto.blocks", "crypto.blocks_viper", "crypto.host"},
    "crypto.blocks": {"crypto.host"},
    "crypto.hmac": {"crypto"},
    "server_messages": {"messages"},
    "kx_psk_server": {"kx_psk"},
    "group.context": {"group.gsa"},
    "group.keeper": {"group.gsa"},
    "group.manager": {"group.gsa", "group.keeper"},
    "group.member": {"group.context", "group.ledger"},
    "coap.exchange": {"coap.message"},
    "coap.resource": {"coap.message"},
    "coap.block": {"coap.message"},
    "coap.multicast": {"coap.message"},
    "listener": {"session"},
    "sleep": {"session"},
    "": {"aio", "dtls"},
    "aio": {"pump", "udp"},
    "dtls": {"listener", "pump", "session", "udp"},
    "ip": {"pump", "serial"},
}

# Who alone may import what is not dice's.
ONLY = {
    "socket": {"udp"},
    "asyncio": {"aio", "coaps", "dtls", "groupcomm", "ip", "kdc", "managed", "pump"},
    "cryptolib": {"crypto.blocks", "crypto.blocks_viper"},
    "hashlib": {"crypto", "crypto.host"},
    "cryptography": {"crypto.host"},
    "machine": {"store"},
    "network": set(),
    "esp32": {"store"},
    "rp2": set(),
    "time": {"_compat", "_cpython"},
    "random": set(),
    "secrets": set(),
    "uos": set(),
    "dicectl": set(),
    "firmware": set(),
    "host_tests": set(),
}


def name_of(path):
    """Return the name of a module below the package `dice`, "" for the package itself."""
    parts = path.relative_to(LIB / "dice").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in (LIB / "dice").rglob("*.py")}


def imports_of(name):
    """Return the names of all modules that a module imports anywhere, also within functions; dice's own start with "dice"."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module
            if node.level:
                package = "dice." + name if MODULES[name].name == "__init__.py" else f"dice.{name}".rpartition(".")[0]
                for _ in range(node.level - 1):
                    package = package.rpartition(".")[0]
                module = ".".join(filter(None, (package.rstrip("."), node.module)))
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                found.add(inner if inner.removeprefix("dice.") in MODULES and inner.startswith("dice.") else module)
    return found


def inner_imports_of(name):
    """Return the modules of dice that a module imports."""
    own = {imported for imported in imports_of(name) if imported.split(".")[0] == "dice"}
    return {imported.removeprefix("dice").removeprefix(".") for imported in own}


def row_of(name):
    return next(number for number, row in enumerate(ROWS) if name in row)


def test_every_module_has_a_row():
    assert set().union(*ROWS) == set(MODULES)
    assert sum(map(len, ROWS)) == len(MODULES)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_rows(name):
    for imported in inner_imports_of(name):
        assert imported in MODULES, f"{name} imports {imported}, which is not there"
        if row_of(imported) == row_of(name):
            assert imported in WITHIN.get(name, ()), f"{name} imports {imported} of its own row"
        else:
            assert row_of(imported) < row_of(name), f"{name} imports {imported} of a higher row"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_its_own_are_imported_relatively(name):
    """The name of a module counts in each that imports it: a relative one saves 5 to 11 bytes of .mpy every time."""
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        assert not isinstance(node, ast.ImportFrom) or node.level or node.module.split(".")[0] != "dice", ast.unparse(node)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_what_only_some_may_know(name):
    for imported in imports_of(name):
        top = imported.split(".")[0]
        assert name in ONLY.get(top, {name}), f"{name} imports {top}"


def test_no_cycles():
    done = set()

    def visit(name, path):
        assert name not in path, " -> ".join([*path, name])
        if name not in done:
            for imported in inner_imports_of(name):
                visit(imported, [*path, name])
            done.add(name)

    for name in MODULES:
        visit(name, [])


def test_back_ends_are_only_chosen_in_one_place():
    for name in MODULES:
        chosen = inner_imports_of(name) & {"crypto.host", "crypto.blocks", "crypto.blocks_viper"}
        assert not chosen or name == "crypto" or (name, chosen) == ("crypto.blocks", {"crypto.host"})


# What may be called at import time: it computes a constant, and touches nothing else.
PURE = {"const", "bytes", "bytearray", "len", "range", "tuple", "frozenset", "int.from_bytes", "struct.calcsize"}


def starts(body):
    """Yield the lines at which something happens when a module is imported, but for definitions and pure calls."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            run = [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
        elif isinstance(node, ast.ClassDef):
            run = [*node.decorator_list, *node.bases]
            yield from starts(node.body)
        elif isinstance(node, ast.If):
            run = [node.test]
            yield from starts(node.body + node.orelse)
        elif isinstance(node, ast.Try):
            run = []
            yield from starts(
                node.body + node.orelse + node.finalbody + [line for handler in node.handlers for line in handler.body]
            )
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.Import | ast.ImportFrom | ast.Pass | ast.Raise):
            run = [node]
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            run = []  # a docstring
        else:
            yield node.lineno
            continue
        calls = [call for part in run for call in ast.walk(part) if isinstance(call, ast.Call)]
        yield from (call.lineno for call in calls if ast.unparse(call.func) not in PURE)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_nothing_starts_at_import_time(name):
    """A module's top level only defines, also within `if`, `try` and classes."""
    assert list(starts(ast.parse(MODULES[name].read_text()).body)) == []


@pytest.mark.parametrize(
    "text",
    [
        "print()",
        "x = open('f')",
        "x = [socket.socket()]",
        "x: int = time()",
        "if a:\n    run()",
        "if a():\n    pass",
        "if a:\n    pass\nelse:\n    x = run()",
        "try:\n    import a\nexcept ImportError:\n    a = run()",
        "try:\n    import a\nfinally:\n    run()",
        "class A:\n    x = run()",
        "class A(make()):\n    pass",
        "def f(x=run()):\n    pass",
        "@register(1)\ndef f():\n    pass",
        "for x in y:\n    pass",
        "while True:\n    pass",
        "with x:\n    pass",
        "x += 1",
        "del x",
        "assert x",
    ],
)
def test_what_starts_is_found(text):
    assert list(starts(ast.parse(text).body)), text


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_randomness(name):
    """dice draws no random numbers but for the endpoints of sessions, and the ports of a serial line."""
    found = {getattr(node, "attr", None) or getattr(node, "id", None) for node in ast.walk(ast.parse(MODULES[name].read_text()))}
    imported = {
        alias.name
        for node in ast.walk(ast.parse(MODULES[name].read_text()))
        for alias in getattr(node, "names", ())
        if isinstance(alias, ast.alias)
    }
    allowed = {"urandom"} if name in ("coaps", "dtls", "groupcomm", "ip") else set()
    assert not ((found | imported) - allowed) & {"urandom", "getrandom", "rng", "randint", "randbytes", "getrandbits"}
