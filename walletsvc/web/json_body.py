"""JSON from outside into a schema, strictly, with every error found at once.

Beyond the schema this refuses what parsers are quietly lenient about: a key given twice,
NaN, text that PostgreSQL cannot store or that is no text at all (NUL, half a surrogate pair).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NoReturn, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core.core_schema import ErrorType

from walletsvc.core.errors import FieldError, InputError

BODY: Final = "body"  # the field name of an error that is about the whole body
Model = TypeVar("Model", bound=BaseModel)

_BUILT_IN: Final = frozenset(get_args(ErrorType))
_CODES: Final = {
    "missing": "required",
    "extra_forbidden": "unknown_field",
    "string_too_long": "too_long",
    "too_long": "too_long",
    "string_too_short": "too_short",
    "too_short": "too_short",
    "string_pattern_mismatch": "invalid_format",
    "greater_than": "out_of_range",
    "greater_than_equal": "out_of_range",
    "less_than": "out_of_range",
    "less_than_equal": "out_of_range",
    "int_parsing_size": "out_of_range",
    "enum": "not_allowed",
    "literal_error": "not_allowed",
    "json_invalid": "malformed_json",
    "string_unicode": "invalid_characters",
}

# In a body that is UTF-8 and JSON only such an escape can stand for NUL or half a surrogate pair.
_SUSPECT: Final = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


def parse(raw: bytes, model: type[Model]) -> Model:
    """The body as `model`; raises InputError with one FieldError for each thing wrong."""
    data = _load(raw)
    if not isinstance(data, dict):
        _refuse("must be a JSON object", "wrong_type")
    bad_text = tuple(_bad_text(data, "")) if _SUSPECT.search(raw) else ()
    if bad_text:
        raw = json.dumps(_without_bad_text(data)).encode()
    try:
        parsed = model.model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise invalid(error, before=bad_text) from None
    if bad_text:
        raise _invalid(bad_text)
    return parsed


def invalid(error: ValidationError, before: tuple[FieldError, ...] = ()) -> InputError:
    """What the schema found, in the product's words and codes; never the values themselves."""
    known = {item.field for item in before}
    return _invalid(before + tuple(e for e in field_errors(error) if e.field not in known))


def field_errors(error: ValidationError) -> tuple[FieldError, ...]:
    """One FieldError for each error of a schema, with the full path of its field."""
    found = []
    for item in error.errors(include_url=False, include_input=False):
        kind = item["type"]
        if kind not in _BUILT_IN:
            code = kind
        elif kind.endswith("_type"):
            code = "wrong_type"
        elif kind.startswith(("date", "time")):
            code = "invalid_date"
        else:
            code = _CODES.get(kind, "invalid")
        path = ".".join(str(part) for part in item["loc"])
        message = _WORDS.get(kind) or item["msg"].removeprefix("Value error, ")
        if kind == "string_too_short" and (least := item["ctx"]["min_length"]) > 1:
            message = f"needs {least} letters at least"
        message = message[0].lower() + message[1:]
        found.append(FieldError(_printable(path) or BODY, message, code))
    return tuple(found)


# The schema library's words for what happens most, in the voice of the rest.
_WORDS = {
    "missing": "is required",
    "extra_forbidden": "is not a field of this call",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "string_too_short": "must not be empty",
    "date_type": "must be a date, such as 1990-05-17",
    "date_parsing": "must be a date, such as 1990-05-17",
    "date_from_datetime_parsing": "must be a date, such as 1990-05-17",
}


def _invalid(fields: tuple[FieldError, ...]) -> InputError:
    said = "; ".join(f"{item.field}: {item.message}" for item in fields[:5])
    more = f"; and {len(fields) - 5} more" if len(fields) > 5 else ""
    return InputError(f"{said}{more}.", fields)


def _refuse(message: str, code: str) -> NoReturn:
    raise InputError(f"The body {message}.", (FieldError(BODY, message, code),))


class _Repeated(ValueError):
    """A key stands twice in one object: which value was meant is anybody's guess."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    whole = dict(pairs)
    if len(whole) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _Repeated(name)
            seen.add(name)
    return whole


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _load(raw: bytes) -> Any:
    if not raw.strip():
        _refuse("is empty; a JSON object is needed", "required")
    try:
        return json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except UnicodeDecodeError:
        _refuse("is not UTF-8", "malformed_json")
    except _Repeated as error:
        name = _printable(str(error))
        raise InputError(
            f"The body gives '{name}' twice.",
            (FieldError(name or BODY, "is given twice", "duplicate_key"),),
        ) from None
    except json.JSONDecodeError as error:
        _refuse(f"is not JSON: line {error.lineno}, column {error.colno}", "malformed_json")
    except RecursionError:
        _refuse("is nested too deeply", "malformed_json")
    except ValueError:  # NaN, Infinity, a number of thousands of digits
        _refuse("is not JSON: it holds a number that is none", "malformed_json")


def _storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "?")[:200]


def _bad_text(value: Any, path: str) -> Iterator[FieldError]:
    message = "must not hold NUL or half a surrogate pair"
    if isinstance(value, str) and not _storable(value):
        yield FieldError(path or BODY, message, "invalid_characters")
    elif isinstance(value, dict):
        for name, item in value.items():
            inner = f"{path}.{_printable(name)}" if path else _printable(name)
            if not _storable(name):
                yield FieldError(inner or BODY, message, "invalid_characters")
            yield from _bad_text(item, inner)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _bad_text(item, f"{path}.{index}" if path else str(index))


def _without_bad_text(value: Any) -> Any:
    if isinstance(value, str):
        return value if _storable(value) else "?"
    if isinstance(value, dict):
        return {_printable(name): _without_bad_text(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_bad_text(item) for item in value]
    return value
