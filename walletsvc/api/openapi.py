"""The OpenAPI 3.1 document of the declared operations.

A thin layer over pydantic's own JSON schemas: the models that validate are the models that
are documented.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from walletsvc import __version__
from walletsvc.access.rules import MEANINGS
from walletsvc.api.dispatch import KEY_HEADER, REPLAYED
from walletsvc.api.operations import KeyRule, Operation
from walletsvc.api.schemas import ProblemDetails
from walletsvc.core.errors import WalletsvcError
from walletsvc.core.ids import PUBLIC_ID

VERSION: Final = "3.1.0"
_REFERENCE: Final = "#/components/schemas/{model}"
# Another form is another call's address, such as `/certificates/figures`, or nobody's.
_PUBLIC_ID: Final = {"type": "string", "pattern": f"^{PUBLIC_ID.pattern}$"}
_INTRODUCTION: Final = (
    "Members, cards and balances for tills, shops and CRMs. Bodies are JSON in UTF-8 with a "
    "Content-Length. Amounts are integers in minor units, times are RFC 3339 in UTC. A call that "
    "must not happen twice, such as any that moves value, needs an `Idempotency-Key`: a retry with "
    "the same key and the same request gets the first answer, byte for byte, for 90 days. Errors "
    "are problem+json with a stable `code`."
)

Json = dict[str, Any]


def document(operations: Sequence[Operation], base_url: str) -> Json:
    """The whole document; `base_url` is the installation's public address."""
    refs, schemas = _schemas(operations)
    paths: dict[str, Json] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, refs)
    return {
        "openapi": VERSION,
        "info": {"title": "walletsvc", "version": __version__, "description": _INTRODUCTION},
        "servers": [{"url": f"{base_url}/api/v1"}],
        "security": [{"apiKey": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(item.tag for item in operations)],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key, made by `walletsvc api-key create`. Scopes: "
                    + "; ".join(f"`{scope}` {text}" for scope, text in MEANINGS.items())
                    + ".",
                }
            },
            "schemas": schemas,
        },
    }


def _schemas(operations: Sequence[Operation]) -> tuple[dict[type[BaseModel], Json], Json]:
    wanted: dict[type[BaseModel], Literal["validation", "serialization"]] = {
        ProblemDetails: "serialization"
    }
    for operation in operations:
        if operation.body:
            wanted[operation.body] = "validation"
        wanted[operation.answer] = "serialization"
    by_model, definitions = models_json_schema(
        list(wanted.items()), ref_template=_REFERENCE, title=None
    )
    refs = {model: by_model[model, mode] for model, mode in wanted.items()}
    return refs, dict(definitions["$defs"])


def _operation(operation: Operation, refs: Mapping[type[BaseModel], Json]) -> Json:
    whole: Json = {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": f"{operation.description}\n\nNeeds the scope `{operation.scope}`.",
        "tags": [operation.tag],
        "parameters": _parameters(operation),
        "responses": {
            str(operation.status): _success(operation, refs),
            **_problems(operation.all_problems(), refs[ProblemDetails]),
        },
    }
    if operation.body:
        whole["requestBody"] = {
            "required": True,
            "content": {
                "application/json": {
                    "schema": refs[operation.body],
                    "example": operation.body_example,
                }
            },
        }
    return whole


def _parameters(operation: Operation) -> list[Json]:
    found: list[Json] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": text,
            "schema": _PUBLIC_ID if name.endswith("_id") else {"type": "string"},
        }
        for name, text in operation.path_parameters.items()
    ]
    if operation.query:
        schema = operation.query.model_json_schema(ref_template=_REFERENCE)
        found += [
            {
                "name": name,
                "in": "query",
                "required": name in schema.get("required", ()),
                "description": part.get("description", ""),
                "schema": {key: part[key] for key in part if key not in ("description", "title")},
            }
            for name, part in schema["properties"].items()
        ]
    if operation.key is not KeyRule.NONE:
        found.append(_key_parameter(operation))
    return found


def _key_parameter(operation: Operation) -> Json:
    needed = operation.key is KeyRule.REQUIRED
    text = "A key of your own for this very request, such as a UUID."
    if needed and operation.has_dry_run:
        text += " A dry run ignores it, and goes without."
    return {
        "name": KEY_HEADER,
        "in": "header",
        "required": needed,
        "description": text,
        "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
        "example": "0f3c9a52-6d0b-4b7e-9f0e-7d1f6a2b8c11",
    }


def _success(operation: Operation, refs: Mapping[type[BaseModel], Json]) -> Json:
    answer: Json = {
        "description": operation.summary,
        "content": {
            "application/json": {
                "schema": refs[operation.answer],
                "example": dict(operation.answer_example),
            }
        },
    }
    if operation.key is not KeyRule.NONE:
        answer["headers"] = {
            REPLAYED: {
                "description": "`true` when this is the stored answer to an earlier request.",
                "schema": {"type": "string", "enum": ["true"]},
            }
        }
    return answer


def _problems(errors: Sequence[type[WalletsvcError]], schema: Json) -> Json:
    """One response per status; its examples name each code that comes with it."""
    found: dict[str, Json] = {}
    for error in errors:
        response = found.setdefault(
            str(error.status),
            {
                "description": error.title,
                "content": {"application/problem+json": {"schema": schema, "examples": {}}},
            },
        )
        if error.retryable:
            response["headers"] = {
                "Retry-After": {
                    "description": "In how many seconds to try again.",
                    "schema": {"type": "integer", "minimum": 1},
                }
            }
        response["content"]["application/problem+json"]["examples"][error.code] = {
            "summary": error.title,
            "value": {
                "type": f"/api/docs#error-{error.code}",
                "title": error.title,
                "status": error.status,
                "detail": meaning(error),
                "code": error.code,
                "request_id": "4f8h2k6m0p3r7t1v5x9z",
            },
        }
    return found


def meaning(error: type[WalletsvcError]) -> str:
    """What an error says about itself, in one line."""
    return " ".join((error.__doc__ or error.title).split())
