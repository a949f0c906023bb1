"""Field types that rule books and baskets share, and how their errors find their fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Final, NamedTuple, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from walletsvc.core.money import MAX_AMOUNT

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

_DECIMAL: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,3})?")


class Strict(BaseModel):
    """No unknown keys, nothing changes after validation; written as it is read."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_by_name=True, serialize_by_alias=True
    )

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with changed fields; what was derived from the old ones does not come along."""
        copied = super().model_copy(update=update, deep=deep)
        if update:
            for name in copied.__dict__.keys() - type(self).model_fields.keys():
                del copied.__dict__[name]
        return copied


def _decimal(value: Any) -> Any:
    """Decimals come as text: a JSON number would pass through a float on somebody's way here."""
    if isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool)):
        return Decimal(value)
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return Decimal(value)
    raise PydanticCustomError("invalid_format", 'must be a decimal in quotes, such as "2.5"')


_Exact = BeforeValidator(_decimal)


def _not_empty(values: tuple[T, ...]) -> tuple[T, ...]:
    """Said of what was given: a length of its own would count a single wrong element as none."""
    if not values:
        raise PydanticCustomError("too_short", "must not be empty")
    return values


# For lists: leave the field out instead of giving an empty one.
NOT_EMPTY: Final = (AfterValidator(_not_empty), Field(json_schema_extra={"minItems": 1}))

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=40)]
Code = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
Amount = Annotated[int, Field(strict=True, ge=0, le=MAX_AMOUNT)]
WholePoints = Annotated[int, Field(strict=True, ge=1, le=10**9)]
Percent = Annotated[Decimal, _Exact, Field(ge=0, le=100, decimal_places=2)]
Quantity = Annotated[Decimal, _Exact, Field(gt=0, le=10**6, decimal_places=3)]
Factor = Annotated[Decimal, _Exact, Field(gt=1, le=100, decimal_places=2)]
CapPercent = Annotated[Decimal, _Exact, Field(ge=0, le=1000, decimal_places=2)]


class Names(Strict):
    """What customers and staff read, in each language of the product."""

    ru: Label
    en: Label

    @cached_property
    def by_language(self) -> dict[str, str]:
        """For a reason's data."""
        return self.model_dump()


class Wrong(NamedTuple):
    """One thing that is wrong in the relation of fields: where, a stable code, what must be."""

    path: tuple[str | int, ...]
    code: str
    message: str


def refuse(model: str, wrongs: Iterable[Wrong]) -> None:
    """Raise pydantic's error with each of `wrongs` at its own field, when there are any."""
    details = [
        InitErrorDetails(
            type=PydanticCustomError(wrong.code, "{said}", {"said": wrong.message}),
            loc=wrong.path,
            input=None,
        )
        for wrong in wrongs
    ]
    if details:
        raise ValidationError.from_exception_data(model, details)


def repeated(values: Iterable[str], *path: str, key: str | None = None) -> list[Wrong]:
    """Each value that stands a second time in a list; `key` is its field inside the element."""
    seen: set[str] = set()
    found = []
    for index, value in enumerate(values):
        if value in seen:
            where: tuple[str | int, ...] = (*path, index)
            if key is not None:
                where = (*where, key)
            found.append(Wrong(where, "duplicate", f"'{value}' stands here a second time"))
        seen.add(value)
    return found


def made(model: type[M], values: dict[str, Any]) -> M:
    """A model of values that are right by construction: every field is given, none is checked.

    A purchase makes dozens of them, and checking what was just computed took a tenth of its time.
    """
    new = model.__new__(model)
    _SET(new, "__dict__", values)
    _SET(new, "__pydantic_fields_set__", set(values))
    _SET(new, "__pydantic_extra__", None)
    _SET(new, "__pydantic_private__", None)
    return new


_SET: Final = object.__setattr__  # models are frozen


def given(value: T | None) -> T:
    """A field that validation has made sure of."""
    if value is None:
        raise AssertionError("validation lets no such rule through")
    return value
