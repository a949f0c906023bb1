"""What the doctor says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line of the report; a problem makes the command fail, and its text names the remedy."""

    about: str
    text: str
    problem: bool = False
