"""What the randomised tests of the API draw from, and what they ask of every answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.api.conftest import Api

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
A_MOMENT = st.datetimes().map(lambda moment: f"{moment.isoformat()}+03:00") | ANY_JSON
FUZZ = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def never_5xx(answer: Any) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.mimetype == "application/problem+json"
        assert answer.get_json()["code"] != "error"


def fuzzed(api: Api, send: Callable[[bytes], Any], raw: bytes) -> None:
    before = api.rows()
    answer = send(raw)
    never_5xx(answer)
    if answer.status_code >= 400:
        assert api.rows() == before
