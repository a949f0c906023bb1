"""Random requests from the OpenAPI document itself: what it allows, and now and then what not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from tests.api.fuzzing import ANY_JSON

Known = Mapping[str, tuple[Any, ...]]
ANY_TEXT = st.text(max_size=20)


def values(
    schema: Mapping[str, Any], document: Mapping[str, Any], known: Known, name: str = ""
) -> Any:
    """Values of a schema; fields whose name is `known` mostly hold what exists."""
    plain = _plain(schema, document, known, name)
    if name in known:
        there = st.sampled_from(known[name])
        return st.one_of(there, there, there, plain)
    return plain


def _plain(
    schema: Mapping[str, Any], document: Mapping[str, Any], known: Known, name: str
) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        target = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        return st.deferred(lambda: values(target, document, known, name))
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return st.one_of([values(each, document, known, name) for each in schema[key]])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "object":
            return _objects(schema, document, known)
        case "array":
            items = values(schema.get("items", {}), document, known, name)
            return st.lists(items, min_size=min(schema.get("minItems", 0), 2), max_size=3)
        case "string":
            return _strings(schema)
        case "integer":
            low, high = schema.get("minimum", -3), schema.get("maximum", 10**16)
            return st.integers(max(low, -3), min(high, 2_000)) | st.sampled_from([low, high])
        case "number":
            return st.floats(0, 1_000, allow_nan=False)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
    return ANY_JSON


def _strings(schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True) | ANY_TEXT
    match schema.get("format"):
        case "date":
            return st.dates().map(str)
        case "date-time":
            return st.datetimes().map(lambda moment: f"{moment.isoformat()}Z")
    least, most = schema.get("minLength", 0), min(schema.get("maxLength", 30), 30)
    return st.text(min_size=min(least, most), max_size=most)


def _objects(
    schema: Mapping[str, Any], document: Mapping[str, Any], known: Known
) -> st.SearchStrategy[Any]:
    fields = schema.get("properties", {})
    if not fields:
        inner = schema.get("additionalProperties")
        of = values(inner, document, known) if isinstance(inner, dict) else ANY_JSON
        return st.dictionaries(st.text("abc", min_size=1, max_size=3), of, max_size=2)
    required = set(schema.get("required", ()))
    drawn = {each: values(part, document, known, each) for each, part in fields.items()}
    return st.fixed_dictionaries(
        {each: drawn[each] for each in fields if each in required},
        optional={each: drawn[each] for each in fields if each not in required},
    )


def example(value: Any, known: Known, name: str = "") -> Any:
    """The document's own example, about what exists here."""
    if name in known:
        return known[name][0]
    if isinstance(value, dict):
        return {key: example(inner, known, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [example(inner, known, name) for inner in value]
    return value


@st.composite
def bodies(draw: st.DrawFn, content: Mapping[str, Any], document: Any, known: Known) -> Any:
    """A body as the document describes it, or its example, perhaps with a field that is wrong."""
    body = draw(values(content["schema"], document, known))
    if "example" in content and draw(st.booleans()):
        body = example(content["example"], known)
        if draw(st.booleans()):
            return body
    if draw(st.integers(0, 3)) == 0:
        if isinstance(body, dict) and body:
            return body | {draw(st.sampled_from(sorted(body))): draw(ANY_JSON)}
        return draw(ANY_JSON)
    return body
