"""What the documentation page shows: the OpenAPI document, arranged for reading."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup, escape

from walletsvc.access.rules import MEANINGS
from walletsvc.api.dispatch import KEY_HEADER
from walletsvc.api.openapi import Json, meaning
from walletsvc.api.operations import KeyRule, Operation
from walletsvc.core.errors import WalletsvcError

_GENERAL: Final = (
    ("method_not_allowed", 405, "The address exists, the method does not; see `Allow`."),
    ("error", 500, "Something went wrong on our side; tell the operator the request id."),
)


@dataclass(frozen=True)
class FieldRow:
    """One field, parameter or header in a table."""

    name: str
    type: str
    required: bool
    text: Markup


@dataclass(frozen=True)
class Section:
    """One operation on the page."""

    operation: Operation
    text: Markup
    parameters: list[FieldRow]
    body: list[FieldRow]
    answer: list[FieldRow]
    curl: str
    answer_json: str
    errors: list[tuple[str, int]]


@dataclass(frozen=True)
class DocsPage:
    """The whole page."""

    version: str
    base: str
    introduction: Markup
    scopes: list[tuple[str, str]]
    groups: list[tuple[str, list[Section]]]
    errors: list[tuple[str, int, Markup]]


def page(operations: Sequence[Operation], document: Json) -> DocsPage:
    """Everything the template needs, in the order it is read."""
    base = document["servers"][0]["url"]
    return DocsPage(
        version=document["info"]["version"],
        base=base,
        introduction=_marked(document["info"]["description"]),
        scopes=[(str(scope), text) for scope, text in MEANINGS.items()],
        groups=[
            (tag, [_section(item, document, base) for item in operations if item.tag == tag])
            for tag in dict.fromkeys(item.tag for item in operations)
        ],
        errors=_errors(operations),
    )


def _section(operation: Operation, document: Json, base: str) -> Section:
    declared = document["paths"][operation.path][operation.method.lower()]
    body: list[FieldRow] = []
    if "requestBody" in declared:
        sent = declared["requestBody"]["content"]["application/json"]["schema"]
        body = _fields(sent, document, sent=True)
    answer = declared["responses"][str(operation.status)]["content"]["application/json"]
    return Section(
        operation=operation,
        text=_marked(operation.description),
        parameters=[
            FieldRow(
                item["name"],
                f"{item['in']}, {_type(item['schema'])}",
                item["required"],
                _marked(item["description"]),
            )
            for item in declared["parameters"]
        ],
        body=body,
        answer=_fields(answer["schema"], document),
        curl=_curl(operation, base),
        answer_json=json.dumps(answer["example"], ensure_ascii=False, indent=2),
        errors=[(error.code, error.status) for error in operation.all_problems()],
    )


def _fields(
    schema: Json, document: Json, prefix: str = "", *, sent: bool = False
) -> list[FieldRow]:
    """A model's fields, those of models inside it by their paths.

    Only of what is `sent` to us it matters which are required: answers always hold them all.
    """
    whole = _resolve(schema, document)
    rows: list[FieldRow] = []
    for name, part in whole.get("properties", {}).items():
        path = f"{prefix}{name}"
        required = sent and name in whole.get("required", ())
        inner = _inner(part)
        resolved = _resolve(inner, document)
        many = part.get("type") == "array"
        kind = _type(part if many or "anyOf" in part else resolved)
        text = _marked(part.get("description") or resolved.get("description", ""))
        rows.append(FieldRow(path, kind, required, text))
        if "properties" in resolved:
            rows += _fields(inner, document, f"{path}[]." if many else f"{path}.", sent=sent)
    return rows


def _inner(part: Json) -> Json:
    found: Json = part.get("items", part)
    return found


def _resolve(schema: Json, document: Json) -> Json:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        found: Json = document["components"]["schemas"][name]
        return found
    return schema


def _type(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"“{value}”" for value in schema["enum"])
    if "const" in schema:
        return f"“{schema['const']}”"
    kind = {"array": "list", "string": "text"}.get(schema.get("type", ""), schema.get("type", ""))
    if schema.get("format"):
        kind = str(schema["format"])
    limits = [
        f"{word} {schema[key]:,}".replace(",", " ")
        for key, word in (("minimum", "from"), ("maximum", "to"), ("maxLength", "up to"))
        if key in schema
    ]
    return ", ".join([kind, *limits])


def _curl(operation: Operation, base: str) -> str:
    example = "3h7k9m2p5r8t0v4x6z1b"
    path = re.sub(r"\{\w+\}", example, operation.path)
    lines = [f"curl {shlex.quote(base + path)}", '-H "Authorization: Bearer $API_KEY"']
    if operation.key is KeyRule.REQUIRED:
        lines.append(f'-H "{KEY_HEADER}: $(uuidgen)"')
    if operation.body_example is not None:
        lines.append("-H 'Content-Type: application/json'")
        text = json.dumps(operation.body_example, ensure_ascii=False, indent=2)
        lines.append(f"-d {shlex.quote(text)}")
    return " \\\n  ".join(lines)


def _errors(operations: Sequence[Operation]) -> list[tuple[str, int, Markup]]:
    known: dict[str, type[WalletsvcError]] = {}
    for operation in operations:
        known |= {error.code: error for error in operation.all_problems()}
    found = [(code, error.status, _marked(meaning(error))) for code, error in known.items()]
    found += [(code, status, _marked(text)) for code, status, text in _GENERAL]
    return sorted(found, key=lambda item: (item[1], item[0]))


def _marked(text: str) -> Markup:
    """Text with `code` in backticks; everything else is taken literally."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else escape(part)
        for index, part in enumerate(parts)
    )
