# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Reads the budgets of boards/budgets.toml, and compares the figures of `dicectl footprint` with them."""

from dataclasses import dataclass

from dicectl import resources


@dataclass(frozen=True)
class Budget:
    """One table of budgets.toml, which explains the fields; `name` is the name of the table."""

    name: str
    title: str
    figure: str
    unit: str
    how: str
    limit: int

    def measured(self, figures):
        """Return the measured value, or None if there is none."""
        value = figures
        for key in self.figure.split("."):
            value = value.get(key, {})
        return value if isinstance(value, int | float) else None


def load():
    """Return the budgets, in the order of budgets.toml."""
    try:
        import tomllib
    except ImportError:  # Python 3.10
        import tomli as tomllib
    tables = tomllib.loads((resources.BOARDS / "budgets.toml").read_text())
    return [Budget(name, **facts) for name, facts in tables.items()]


def breaches(figures):
    """Return a line for each budget that the figures are past; what was not measured breaks none."""
    lines = []
    for budget in load():
        value = budget.measured(figures)
        if value is not None and value > budget.limit:
            lines.append(f"past its budget: {budget.title}: {value:,.0f} {budget.unit}, {budget.limit:,} allowed ({budget.name})")
    return lines
