"""Reproducible benchmarks: every figure stands beside a limit measured in the same run.

A benchmark is a module of this folder with `NAME` and `run()`, which returns a `Result` or
several by name. Absolute figures depend on the machine and its mood; the ratio is what can be
compared.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """What was measured, and the most that this machine could have done just then.

    `value` and `limit` are in `unit` and above zero. Higher is better, unless the limit is a
    bound to stay under.
    """

    value: float
    unit: str
    limit: float
    lower_is_better: bool = False

    @property
    def ratio(self) -> float:
        """The part of the limit that was reached; of a bound, how often the value fits into it."""
        return self.limit / self.value if self.lower_is_better else self.value / self.limit
