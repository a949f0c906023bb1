"""The REST interface as a blueprint: /api/v1, /api/openapi.json, /api/docs."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import orjson
from flask import Blueprint, Response, render_template, request

from walletsvc.api import (
    announcements,
    bulk,
    cards,
    certificates,
    consents,
    docs,
    enrolment,
    events,
    groups,
    holds,
    imports,
    ledger,
    members,
    openapi,
    personal,
    persons,
    phones,
    plastic,
    posters,
    proofs,
    push_channels,
    rehearsals,
    reversals,
    rules,
    sales,
    staff,
    statements,
    terms,
    tiers,
    timeline,
)
from walletsvc.api.dispatch import REPLAYED, respond
from walletsvc.api.operations import Operation
from walletsvc.web.context import Deps
from walletsvc.web.front import reraise
from walletsvc.web.requests import allow_body

OPERATIONS: Final[tuple[Operation, ...]] = (
    *members.OPERATIONS,
    *persons.OPERATIONS,
    *personal.OPERATIONS,
    *phones.OPERATIONS,
    *enrolment.OPERATIONS,
    *staff.OPERATIONS,
    *proofs.OPERATIONS,
    *consents.OPERATIONS,
    *cards.OPERATIONS,
    *plastic.OPERATIONS,
    *events.OPERATIONS,
    *groups.OPERATIONS,
    *sales.OPERATIONS,
    *holds.OPERATIONS,
    *reversals.OPERATIONS,
    *ledger.OPERATIONS,
    *certificates.OPERATIONS,
    *bulk.OPERATIONS,
    *timeline.OPERATIONS,
    *push_channels.OPERATIONS,
    *statements.OPERATIONS,
    *rules.OPERATIONS,
    *rehearsals.OPERATIONS,
    *tiers.OPERATIONS,
    *terms.OPERATIONS,
    *announcements.OPERATIONS,
    *posters.OPERATIONS,
    *imports.OPERATIONS,
)


def create(deps: Deps) -> Blueprint:
    """The blueprint of one web process."""
    blueprint = Blueprint(
        "api",
        __name__,
        url_prefix="/api",
        template_folder="templates",
        static_folder="static",
        static_url_path="/docs/static",
    )
    for operation in OPERATIONS:
        blueprint.add_url_rule(
            _rule(operation),
            endpoint=operation.id,
            view_func=_view(deps, operation),
            methods=[operation.method],
        )

    @blueprint.get("/openapi.json")
    def openapi_document() -> Response:
        encoded, _ = _described(deps.settings.base_url)
        return Response(encoded, mimetype="application/json")

    @blueprint.get("/docs")
    def documentation() -> str:
        _, shown = _described(deps.settings.base_url)
        return render_template("api/docs.html", page=shown)

    return blueprint


@lru_cache(maxsize=1)
def _described(base_url: str) -> tuple[bytes, docs.DocsPage]:
    """The OpenAPI document as it is sent, and its page: made when somebody first asks, since
    all the schemas together take a quarter of a second."""
    description = openapi.document(OPERATIONS, base_url)
    encoded = orjson.dumps(description, option=orjson.OPT_INDENT_2)
    return encoded, docs.page(OPERATIONS, description)


def _rule(operation: Operation) -> str:
    return "/v1" + re.sub(r"\{(\w+)\}", r"<\1>", operation.path)


def _view(deps: Deps, operation: Operation) -> Callable[..., Response]:
    def view(**path: str) -> Response:
        reraise(request)
        done = respond(deps, operation, request, path)
        response = Response(done.answer.body, done.answer.status, mimetype="application/json")
        if done.replayed:
            response.headers[REPLAYED] = "true"
        return response

    return allow_body(view, operation.most_bytes)
