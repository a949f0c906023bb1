"""schemathesis reads the OpenAPI document and sends what it allows, and what it forbids.

`test_whole_document` sends what makes sense; this has another's idea of what may go wrong.
"""

from __future__ import annotations

import os
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.conftest import Api
from tests.api.test_whole_document import known as known

LONG = bool(os.environ.get("WALLETSVC_TEST_LONG"))
HOW_MANY = settings(
    max_examples=60 if LONG else 3,
    derandomize=not LONG,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def test_no_call_fails_or_answers_what_is_not_documented(api: Api, known: Any) -> None:
    """Every operation, with data that fits its schema and with data that does not."""
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", api.app)
    headers = {"Authorization": f"Bearer {api.secret}"}
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @HOW_MANY
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case: schemathesis.Case) -> None:
                nonlocal asked
                asked += 1
                case.call_and_validate(checks=CHECKS, headers=headers)

            ask()
    assert asked > 100
