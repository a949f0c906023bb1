"""What is slow to make and always comes out the same is made once in a process of tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import serialization
from werkzeug.routing import Rule


def keep() -> None:
    """To be called before anything else is imported.

    A key that is read is first proven to be one, for thirty milliseconds; each of an
    application's hundred and seventy routes compiles two functions that build its addresses.
    """
    serialization.load_pem_private_key = cache(  # type: ignore[assignment]
        serialization.load_pem_private_key
    )
    Rule._compile_builder = _once(Rule._compile_builder)  # type: ignore[method-assign, assignment]


def _once(compiled: Callable[[Rule, bool], Any]) -> Callable[[Rule, bool], Any]:
    """The functions take their rule as an argument: those of equal rules are the same."""
    known: dict[tuple[object, ...], Any] = {}

    def compile_builder(rule: Rule, append_unknown: bool = True) -> Any:
        if rule.defaults:
            return compiled(rule, append_unknown)
        key = (rule.rule, tuple(rule._trace), append_unknown)
        if key not in known:
            known[key] = compiled(rule, append_unknown)
        return known[key]

    return compile_builder
