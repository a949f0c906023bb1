"""Bodies against Google's own schema: unknown names are refused, values are put in Google's form.

The schema is the one of Google's discovery document without its prose (`walletobjects.json`).
It names no required fields: those are in `rules`. Answers use the older lower-camel names of
enum values, 64-bit integers as text, and a `kind` wherever the schema has one, as recorded
answers of Google do.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import jsonschema_rs
import orjson

from walletsvc.emulators.google.errors import ApiError, Json, malformed

_Normaliser = Callable[[Any], Any]
_INT64: Final = r"^-?[0-9]{1,19}$"
_UINT64: Final = r"^[0-9]{1,20}$"
_BYTES: Final = r"^[A-Za-z0-9+/_-]*={0,2}$"


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One collection of the API: `loyaltyObject` in paths, `LoyaltyObject` in the schema."""

    path: str
    schema: str
    family: str
    is_class: bool

    @property
    def kind(self) -> str:
        """What answers carry in `kind`."""
        return f"walletobjects#{self.path}"

    @property
    def plural(self) -> str:
        """Its name in the payload of a save link."""
        return f"{self.path}es" if self.is_class else f"{self.path}s"


FAMILIES: Final = ("loyalty", "giftCard", "offer", "generic")
TYPES: Final[Mapping[str, ResourceType]] = {
    f"{family}{part}": ResourceType(
        f"{family}{part}", f"{family[0].upper()}{family[1:]}{part}", family, part == "Class"
    )
    for family in FAMILIES
    for part in ("Class", "Object")
}
BY_PLURAL: Final[Mapping[str, ResourceType]] = {kind.plural: kind for kind in TYPES.values()}


@functools.cache
def discovery() -> Mapping[str, Mapping[str, Json]]:
    """Every schema by name: its properties by name, as Google describes them."""
    file = resources.files(__package__).joinpath("walletobjects.json")
    loaded: Mapping[str, Mapping[str, Json]] = orjson.loads(file.read_bytes())["schemas"]
    return loaded


def _described(item: Json) -> Json:
    """A property of the discovery document as JSON Schema; null means absent, as in protobuf."""
    if "$ref" in item:
        return {"$ref": f"#/$defs/{item['$ref']}"}
    if "enum" in item:
        return {"enum": [*item["enum"], None]}
    if item["type"] == "array":
        return {"type": ["array", "null"], "items": _described(item["items"])}
    match item.get("format"):
        case "int64":
            return {"type": ["string", "integer", "null"], "pattern": _INT64}
        case "uint64":
            return {"type": ["string", "integer", "null"], "pattern": _UINT64}
        case "int32":
            return {"type": ["integer", "null"], "minimum": -(2**31), "maximum": 2**31 - 1}
        case "uint32":
            return {"type": ["integer", "null"], "minimum": 0, "maximum": 2**32 - 1}
        case "byte":
            return {"type": ["string", "null"], "pattern": _BYTES}
    return {"type": [item["type"], "null"]}


@functools.cache
def _definitions() -> Json:
    return {
        name: {
            "type": ["object", "null"],
            "additionalProperties": False,
            "properties": {key: _described(item) for key, item in properties.items()},
        }
        for name, properties in discovery().items()
    }


@functools.cache
def _validator(name: str) -> jsonschema_rs.Draft202012Validator:
    """The compiled schema with only what it refers to."""
    wanted, todo = {}, [name]
    while todo:
        current = todo.pop()
        if current not in wanted:
            wanted[current] = _definitions()[current]
            todo += re.findall(r"#/\$defs/(\w+)", orjson.dumps(wanted[current]).decode())
    return jsonschema_rs.Draft202012Validator(
        {"type": "object", "$ref": f"#/$defs/{name}", "$defs": wanted}
    )


def prepare(*names: str) -> None:
    """Compile these schemas now rather than with the first request."""
    for name in names:
        _validator(name)
        _normaliser(name)


def check(name: str, body: Any) -> Json:
    """The body when it is of this schema; otherwise ApiError 400 `invalid` with its violations."""
    validator = _validator(name)
    if not validator.is_valid(body):
        raise _complaint(validator, body)
    checked: Json = body
    return checked


def _complaint(validator: jsonschema_rs.Draft202012Validator, body: Any) -> ApiError:
    found = []
    for error in validator.iter_errors(body):
        path = _dotted(error.instance_path)
        if error.kind.name == "additionalProperties":
            where = f" at '{path}'" if path else ""
            for name in error.kind.as_dict()["unexpected"]:
                text = f'Unknown name "{name}"{where}: Cannot find field.'
                found.append((path, f"Invalid JSON payload received. {text}"))
        else:
            found.append((path, f"Invalid value at '{path}': {_kind_of_error(error)}"))
    refusal = malformed(*found[0])
    refusal.violations = tuple(found)
    refusal.message = "\n".join(text for _, text in found)
    return refusal


def _kind_of_error(error: jsonschema_rs.ValidationError) -> str:
    # The value is left out: messages end in logs, and values may be a customer's.
    return f"not as the schema has it ({error.kind.name})."


def _dotted(path: list[str | int]) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")


def normalise(name: str, body: Json) -> Json:
    """A checked body in the form in which Google keeps and returns it."""
    normalised: Json = _normaliser(name)(body)
    return normalised


def canonical(value: object) -> str:
    """An enum value without its spelling: `underReview`, `UNDER_REVIEW` → `underreview`."""
    return str(value or "").replace("_", "").lower()


@functools.cache
def _normaliser(name: str) -> _Normaliser:
    """What turns a value of this schema into Google's form."""
    properties = discovery()[name]
    kind = f"walletobjects#{name[0].lower()}{name[1:]}" if "kind" in properties else None
    # Filled in on first use: schemas refer to each other in circles.
    own: dict[str, _Normaliser | None] = {}

    def normaliser(value: Any) -> Any:
        if value is None:
            return None
        if not own:
            own.update({key: _of_property(item) for key, item in properties.items()})
        result = {}
        for key, item in value.items():
            how = own[key]
            result[key] = item if how is None else how(item)
        if kind is not None:
            result["kind"] = kind
        return result

    return normaliser


def _of_property(item: Json) -> _Normaliser | None:
    if "$ref" in item:
        return _normaliser(item["$ref"])
    if "enum" in item:
        return _aliases(item).get
    if item["type"] == "array":
        inner = _of_property(item["items"])
        if inner is None:
            return None
        return lambda values: None if values is None else [inner(value) for value in values]
    if item.get("format") in ("int64", "uint64"):
        return lambda value: None if value is None else str(int(value))
    return None


def _aliases(item: Json) -> dict[str | None, str | None]:
    """Every value of an enum by what answers call it: the first older name, where there is one.

    `..._UNSPECIFIED` comes back in camel case although no enum has such a value: Google does it.
    """
    names: dict[str | None, str | None] = {None: None}
    deprecated = item.get("enumDeprecated", [False] * len(item["enum"]))
    older: dict[str, str] = {}
    for value, is_old in zip(item["enum"], deprecated, strict=True):
        if is_old:
            older.setdefault(canonical(value), value)
    for value in item["enum"]:
        unspecified = camel(value) if value.endswith("_UNSPECIFIED") else value
        names[value] = older.get(canonical(value), unspecified)
    return names


def camel(value: str) -> str:
    """`GENERIC_TYPE_UNSPECIFIED` → `genericTypeUnspecified`."""
    first, *rest = value.lower().split("_")
    return first + "".join(word.capitalize() for word in rest)
