# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The imports within a package, read from its source: for host_tests/meta/test_imports.py, and drawn for docs/architecture.md.

Imports within functions count as well: they are loaded later, and depend on the same layers.
"""

import ast
import functools
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class Package:
    """The modules of a package: `paths` by dotted name, and `imports`, the names of all modules that each of them imports."""

    def __init__(self, top, name, layers=()):
        """`top` is the folder of the package `name`, relative to the repository; `layers` maps modules of no folder to theirs."""
        self.name = name
        self.layers = dict(layers)
        self.paths = {}
        self._top = ROOT / top
        for path in sorted(self._top.rglob("*.py")):
            parts = (name, *path.relative_to(self._top).with_suffix("").parts)
            self.paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path

    @functools.cached_property
    def imports(self):
        return {module: self._imports(module) for module in self.paths}

    def folder(self, module):
        """Return the folder of a module below the package, its layer: "" for most modules of no folder."""
        if module in self.layers:
            return self.layers[module]
        if module == self.name:
            return "__init__"
        if module.endswith(".__main__"):
            return "__main__"
        parts = self.paths[module].relative_to(self._top).parts
        return parts[0] if len(parts) > 1 else ""

    def own(self, module):
        """Return the modules of this package that a module imports."""
        return {imported for imported in self.imports[module] if imported in self.paths}

    def foreign(self, module):
        """Return the top-level names of what a module imports from elsewhere."""
        return {imported.split(".")[0] for imported in self.imports[module] if imported not in self.paths}

    def edges(self):
        """Return {(folder, folder it imports from): number of imports} between different folders."""
        found = {}
        for module in self.paths:
            for imported in self.own(module):
                edge = self.folder(module), self.folder(imported)
                if edge[0] != edge[1]:
                    found[edge] = found.get(edge, 0) + 1
        return found

    def _imports(self, module):
        found = set()
        for node in _statements(ast.parse(self.paths[module].read_text())):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._base(module, node)
                for alias in node.names:
                    inner = f"{base}.{alias.name}"
                    found.add(inner if inner in self.paths else base)
        return found - {module}

    def _base(self, module, node):
        """Return the absolute name of the module that an ImportFrom names."""
        if not node.level:
            return node.module
        parts = module.split(".")
        if self.paths[module].name != "__init__.py":
            parts = parts[:-1]
        parts = parts[: len(parts) - node.level + 1]
        return ".".join([*parts, *filter(None, [node.module])])


def _statements(tree):
    """Yield all statements at any depth, but none below `if TYPING:`, which type checkers alone read."""
    waiting = [tree]
    for node in waiting:
        yield node
        if not (isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPING"):
            for field in ("body", "orelse", "finalbody", "handlers", "cases"):
                waiting += getattr(node, field, ())


def library():
    """Return the Package dice."""
    return Package("lib/dice", "dice", {"dice.record": "records", "dice.suites": "records"})


def tools():
    """Return the Package dicectl."""
    return Package("tools/dicectl", "dicectl")


def drawn(package, below):
    """Return Mermaid flowcharts of a package: its folders, and the modules in each; `below` has the folders, the lowest first."""
    return _folders(package, list(below)) + "".join(_modules(package, folder) for folder in reversed(list(below)))


def _folders(package, order):
    title = {folder: f"{folder}/" for folder in order} | {"": f"{package.name}/*.py"}
    title |= {folder: f"{folder}.py" for folder in order if folder.startswith("__")}
    for layer in package.layers.values():
        title[layer] = ", ".join(f"{name.rpartition('.')[2]}.py" for name in package.layers if package.layers[name] == layer)
    name = {folder: (folder or "modules").strip("_") for folder in order}
    lines = [f'{name[folder]}["{title[folder]}"]' for folder in reversed(order)]
    for (importer, imported), count in sorted(package.edges().items(), key=lambda edge: [-order.index(at) for at in edge[0]]):
        lines.append(f"{name[importer]} -->|{count}| {name[imported]}")
    return _flowchart(lines)


def _modules(package, folder):
    """Return the modules of a folder and the imports between them; nothing if there are none."""
    modules = [module for module in package.paths if package.folder(module) == folder]
    edges = [(module, imported) for module in modules for imported in sorted(package.own(module)) if imported in modules]
    if not edges:
        return ""
    lines = [f"{importer.rpartition('.')[2]} --> {imported.rpartition('.')[2]}" for importer, imported in edges]
    place = f"{package.name}/{folder}" if folder else f"{package.name}/*.py"
    return f"\n<details><summary><code>{place}</code></summary>\n\n{_flowchart(lines)}\n</details>\n"


def _flowchart(lines):
    return "\n".join(["```mermaid", "flowchart TD", *(f"    {line}" for line in lines), "```"]) + "\n"
