"""Reproducible benchmarks: every figure stands beside a limit measured in the same run.

A benchmark is a module of this folder with `NAME` and `run() -> Result`. Absolute figures
depend on the machine and its mood; the ratio is what can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """What was measured, and the most that this machine could have done just then.

    `value` and `limit` are in `unit`; higher is better, and `limit` is above zero.
    """

    value: float
    unit: str
    limit: float

    @property
    def ratio(self) -> float:
        """The part of the limit that was reached."""
        return self.value / self.limit
