"""What the control interfaces read of a request; InputError says in words what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from walletsvc.core.errors import InputError

_Model = TypeVar("_Model", bound=BaseModel)


def parse(model: type[_Model], body: bytes) -> _Model:
    """The body as this model; none at all is an empty object."""
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise InputError(
            "; ".join(
                ".".join(map(str, ["body", *problem["loc"]])) + f": {problem['msg']}"
                for problem in error.errors(include_url=False)
            )
        ) from error


def number(query: Mapping[str, str], name: str, default: float = 0) -> float:
    """A number of the query that is not negative."""
    try:
        value = float(query.get(name, default))
    except ValueError:
        value = -1.0
    if not 0 <= value < 2**53:
        raise InputError(f"{name}: expected a number of 0 or more.")
    return value
