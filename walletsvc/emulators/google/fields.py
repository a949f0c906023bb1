"""Partial answers: the `fields` parameter, as in `id,hasUsers,loyaltyPoints(balance/int)`."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from walletsvc.emulators.google.errors import GLOBAL, ApiError

_TOKEN: Final = re.compile(r"[A-Za-z0-9_*]+|[,/()]")

# What is wanted of a value: everything (None) or these parts of it.
_Mask = dict[str, Any] | None


def select(body: bytes, fields: str) -> bytes:
    """The wanted parts of a JSON object; ApiError 400 for a mask that cannot be read."""
    tokens = _TOKEN.findall(fields)
    if "".join(tokens) != fields.replace(" ", ""):
        raise _bad(fields)
    try:
        mask, rest = _read(tokens)
    except IndexError as error:
        raise _bad(fields) from error
    if rest:
        raise _bad(fields)
    return orjson.dumps(_selected(orjson.loads(body), mask))


def _bad(fields: str) -> ApiError:
    return ApiError(400, "invalidParameter", f"Invalid field selection {fields}", domain=GLOBAL)


def _read(tokens: list[str]) -> tuple[dict[str, _Mask], list[str]]:
    """A list of fields up to its end; returns what is left."""
    mask: dict[str, _Mask] = {}
    while True:
        name, rest = tokens[0], tokens[1:]
        path = [name]
        while rest and rest[0] == "/":
            path.append(rest[1])
            rest = rest[2:]
        inner: _Mask = None
        if rest and rest[0] == "(":
            inner, rest = _read(rest[1:])
            if rest[0] != ")":
                raise IndexError
            rest = rest[1:]
        for step in reversed(path[1:]):
            inner = {step: inner}
        mask[path[0]] = inner
        if not rest or rest[0] != ",":
            return mask, rest
        tokens = rest[1:]


def _selected(value: Any, mask: _Mask) -> Any:
    if mask is None or "*" in mask:
        return value
    if isinstance(value, list):
        return [_selected(item, mask) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _selected(value[key], inner) for key, inner in mask.items() if key in value}
