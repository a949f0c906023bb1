"""Passes answered in front of the framework: nobody can tell by the answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from tests.apple.conftest import Service, pass_json
from tests.fronting import front_of, watched
from walletsvc.web import logs

AGENT = "Wallet/1.0 CFNetwork"


@pytest.fixture
def framework(service: Service) -> Iterator[list[str]]:
    """What got to the framework, and after each the error that came along."""
    with watched(front_of(service.client.application)) as seen:
        yield seen


def _told(service: Service) -> list[Any]:
    service.installation.events.flush()
    with service.database.read_tx() as session:
        rows = session.execute(
            text("SELECT kind, pass_id, detail FROM pass_events ORDER BY id DESC LIMIT 1")
        )
        return [tuple(row) for row in rows]


def _asked(service: Service, path: str, headers: dict[str, str]) -> tuple[Any, ...]:
    answer = service.client.get(path, headers=headers, base_url="https://cards.test")
    return (
        answer.status,
        {name.lower(): value for name, value in answer.headers},
        pass_json(answer.data) if answer.data else None,
        _told(service),
    )


def test_an_answer_is_the_frameworks(service: Service, framework: list[str]) -> None:
    """Status, headers, pass and timeline are equal, for a pass and for one that is unchanged."""
    url = service.pass_url()
    first = service.client.get(url, headers=service.auth())
    for extra in (
        {},
        {"If-Modified-Since": first.headers["Last-Modified"]},
        {"If-None-Match": first.headers["ETag"]},
        {"If-None-Match": '"other"', "If-Modified-Since": first.headers["Last-Modified"]},
        {"If-Modified-Since": "yesterday"},
    ):
        headers = {
            **service.auth(),
            "User-Agent": AGENT,
            "X-Request-Id": "the-same-for-both",
            **extra,
        }
        framework.clear()
        short = _asked(service, url, headers)
        assert framework == []
        # An address with a query is the framework's.
        assert short == _asked(service, f"{url}?x=1", headers), extra
        assert framework == [url]


def test_an_answer_is_logged_and_counted_as_the_frameworks(
    service: Service, framework: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with the request's id, and the route's counters."""
    logs.configure("json", "info")
    url = service.pass_url()
    service.client.get(url, headers=service.auth())  # publishes it
    framework.clear()
    capsys.readouterr()
    lines, counted = [], []
    for path in (url, f"{url}?x=1"):
        service.installation.counted.flush()
        before = _counters(service)
        service.client.get(path, headers={**service.auth(), "X-Request-Id": "id-of-request"})
        service.installation.counted.flush()
        after = _counters(service)
        counted.append({key for key in after if after[key] != before.get(key, 0)})
        written = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        (line,) = [line for line in written if line["event"] == "request"]
        lines.append({key: line[key] for key in line if key not in ("ms", "timestamp")})
    assert lines[0] == lines[1]
    assert lines[0]["request_id"] == "id-of-request"
    names = [{name for name, labels in keys if "passes" in labels} for keys in counted]
    assert names[0] == names[1] == {
        "http_requests", "http_request_seconds", "http_request_seconds_microseconds",
    }  # fmt: skip
    assert len(framework) == 1


def _counters(service: Service) -> dict[tuple[str, str], int]:
    with service.database.read_tx() as session:
        rows = session.execute(text("SELECT name, labels, value FROM counters"))
        return {(row.name, row.labels): row.value for row in rows}


def test_errors_and_stale_passes_are_the_frameworks(service: Service, framework: list[str]) -> None:
    """Nothing is tried twice, and what went wrong is answered as everywhere."""
    url = service.pass_url()
    wrong = service.client.get(
        url, headers={"Authorization": "ApplePass x", "X-Request-Id": "given-by-phone"}
    )
    assert (wrong.status_code, wrong.headers["WWW-Authenticate"]) == (401, "ApplePass")
    assert wrong.get_json()["request_id"] == "given-by-phone"
    service.change(5)
    stale = service.client.get(url, headers=service.auth())
    assert stale.status_code == 200
    assert framework == [url, "Unauthenticated", url]
    fresh = service.client.get(url, headers=service.auth())
    assert pass_json(fresh.data) == pass_json(stale.data)
    assert framework == [url, "Unauthenticated", url]


def test_permits_come_back_after_errors(service: Service) -> None:
    """However often somebody is turned away, a holder is served."""
    for _ in range(5):
        assert service.client.get(service.pass_url()).status_code == 401
    assert service.client.get(service.pass_url(), headers=service.auth()).status_code == 200
