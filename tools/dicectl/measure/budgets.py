# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Reads the budgets of boards/budgets.toml, and compares the figures of `dicectl footprint` with them."""

from dataclasses import dataclass, field

from dicectl import resources
from dicectl.firmware import boards

_MEASURED = "armv6m"  # the processor of the emulated RPI_PICO


@dataclass(frozen=True)
class Budget:
    """One table of budgets.toml, which explains the fields; `name` is the name of the table."""

    name: str
    title: str
    figure: str
    unit: str
    how: str
    limit: int
    limits: dict = field(default_factory=dict)

    def allowed(self, architecture):
        """Return the limit for a processor, as boards.toml and mpy-cross name it."""
        return self.limits.get(architecture, self.limit)

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


def verdicts(figures):
    """Return [(budget, value, limit)] of what was measured; the limits are those of the board's processor."""
    architecture = boards.find(figures["board"]).mpy_arch if "board" in figures else _MEASURED
    measured = [(budget, budget.measured(figures), budget.allowed(architecture)) for budget in load()]
    return [verdict for verdict in measured if verdict[1] is not None]


def breaches(figures):
    """Return a line for each budget that the figures are past; what was not measured breaks none."""
    return [
        f"past its budget: {budget.title}: {value:,.0f} {budget.unit}, {limit:,} allowed ({budget.name})"
        for budget, value, limit in verdicts(figures)
        if value > limit
    ]
