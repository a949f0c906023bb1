"""`/readyz`: what is found, by whom it is seen, and how often it is looked for."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask import Flask
from sqlalchemy.exc import OperationalError

from walletsvc.web import health
from walletsvc.web.health import Findings


def test_what_was_found_is_told_for_two_seconds(now: datetime) -> None:
    """Asking costs nothing, whoever asks and however often."""
    seconds, examined = [0.0], []

    def examine() -> Findings:
        examined.append(seconds[0])
        return Findings([], [f"found at {seconds[0]}"])

    app = Flask("walletsvc.web")
    app.register_blueprint(health.create(examine, lambda: now + timedelta(seconds=seconds[0])))
    client = app.test_client()
    for second in (0.0, 1.9, 2.0, 3.9, -1.0):
        seconds[0] = second
        stranger = client.get("/readyz", headers={"X-Forwarded-For": "192.0.2.1"})
        assert stranger.get_json() == {"status": "ready"}
        assert client.get("/readyz").get_json()["warnings"] == [f"found at {examined[-1]}"]
    assert examined == [0.0, 2.0, -1.0]


def test_a_database_that_is_away_is_told(now: datetime) -> None:
    """As a problem in words, not as a traceback."""

    def examine() -> Findings:
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    app = Flask("walletsvc.web")
    app.register_blueprint(health.create(examine, lambda: now))
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.get_json()["problems"] == ["The database does not answer."]
