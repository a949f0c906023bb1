"""What a check is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """The words of a difference, and the statement that finds it.

    The statement's columns fill the words, but for `owner`: the id of the organisation that the
    difference concerns. It returns nothing when all is well.
    """

    words: str
    statement: str
