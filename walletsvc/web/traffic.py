"""Counts requests by route and status, and how long their answers took."""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import Final

from flask import Flask, Response, g, request

from walletsvc.jobs.counter_buffer import CounterBuffer
from walletsvc.jobs.counters import Series, bucket_of, microseconds, series, timed

# Asking how it goes is no traffic, and must not write to the database.
_NOT_COUNTED: Final = ("/healthz", "/readyz", "/metrics")
_CONVERTER: Final = re.compile(r"<[^<>]*:(\w+)>")
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def install(app: Flask, counted: CounterBuffer) -> None:
    """Count every answer of the app; after `requests.install`, which notes when it began."""

    def each(response: Response) -> Response:
        # The route, not the path: paths are without number, and hold secrets.
        rule = request.url_rule.rule if request.url_rule else "none"
        if rule not in _NOT_COUNTED:
            started = g.get("started", time.perf_counter())
            count(counted, request.method, rule, response.status_code, started)
        return response

    app.after_request(each)


def count(counted: CounterBuffer, method: str, rule: str, status: int, started: float) -> None:
    """Count one answer by its route; `started` is what `time.perf_counter` said then."""
    seconds = time.perf_counter() - started
    answers, bucket, total = _series(method, rule, status, bucket_of(seconds))
    counted.add({answers: 1, bucket: 1, total: microseconds(seconds)})


@lru_cache(maxsize=4096)
def _series(method: str, rule: str, status: int, bucket: int) -> tuple[Series, Series, Series]:
    """What counts the answers, their durations, and the sum of these."""
    what = {
        "method": method if method in _METHODS else "other",
        "route": _CONVERTER.sub(r"<\1>", rule),
    }
    answers = series("http_requests", status=str(status), **what)
    return (answers, *timed("http_request_seconds", bucket, **what))
