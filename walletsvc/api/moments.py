"""Times that callers give."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII
)


def _moment(value: object) -> object:
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):  # no such day; before the year 1 or after 9999
            pass
    raise PydanticCustomError("invalid_format", "Must be a time such as 2026-11-20T09:30:00Z")


MomentIn = Annotated[datetime, BeforeValidator(_moment)]
