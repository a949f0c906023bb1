"""What an operator hears before a certificate ends: in the log, in `/readyz`, for the metrics."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta

import structlog
from sqlalchemy import text

from tests.apple.conftest import Service
from walletsvc.app import report_certificates
from walletsvc.apple.dialect import PUSHES
from walletsvc.jobs.changes import CHANGES
from walletsvc.jobs.signals import Listener
from walletsvc.messaging.outbox import MESSAGES


def leave(service: Service, days: int) -> None:
    """Set the clock so that the certificate has so many days left."""
    service.ticks.clear()
    with service.database.read_tx() as session:
        end = session.execute(
            text("SELECT not_after FROM signing_certificates WHERE state = 'active'")
        ).scalar_one()
    service.ticks.append(end - timedelta(days=days, minutes=1) - service.clock())


def only_the_one(service: Service) -> None:
    """The shop's own pass type has no passes any more, and no certificate."""
    with service.database.write_tx() as session:
        session.execute(text("DELETE FROM pass_types WHERE identifier = 'pass.test.shop'"))


def test_readyz_warns_and_stays_ready(service: Service) -> None:
    """Only this machine is told what; an expired certificate is a problem."""
    only_the_one(service)
    with ExitStack() as stack:
        for channel in (CHANGES, PUSHES, MESSAGES):
            stack.enter_context(Listener(service.database.conninfo, channel)).wait(5)

        answer = service.client.get("/readyz")
        assert (answer.status_code, answer.get_json()) == (200, {"status": "ready"})
        leave(service, 14)
        answer = service.client.get("/readyz")
        assert (answer.status_code, answer.get_json()["status"]) == (200, "ready")
        (warning,) = answer.get_json()["warnings"]
        assert warning.startswith(f"{service.pass_type}: ")
        assert "in 14 days" in warning
        stranger = {"X-Forwarded-For": "192.0.2.1"}
        answer = service.client.get("/readyz", headers=stranger)
        assert answer.get_json() == {"status": "ready"}
        leave(service, -1)
        answer = service.client.get("/readyz")
        assert (answer.status_code, answer.get_json()["status"]) == (503, "not ready")
        assert "expired on" in answer.get_json()["problems"][0]
        assert "warnings" not in answer.get_json()


def test_readyz_warns_of_pushes_that_are_not_sent(service: Service) -> None:
    """With the reason, and without being less ready: the service itself works."""
    with ExitStack() as stack:
        for channel in (CHANGES, PUSHES, MESSAGES):
            stack.enter_context(Listener(service.database.conninfo, channel)).wait(5)
        only_the_one(service)
        with service.database.write_tx() as session:
            session.execute(
                text(
                    "INSERT INTO push_channels (pass_type_id, state, reason, failures, since)"
                    " SELECT id, 'stopped', 'Apple answers 403.', 1, :now FROM pass_types"
                ),
                {"now": service.clock()},
            )
        answer = service.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.get_json()["warnings"] == [
        f"Pushes of {service.pass_type}: stopped since 2026-11-20 09:30 UTC: Apple answers 403."
    ]


def test_start_up_warns_and_speaks_up_from_seven_days_on(service: Service) -> None:
    """The level rises; before thirty days nothing is said."""
    only_the_one(service)
    heard = {}
    for days in (31, 30, 14, 8, 7, 1, 0, -1):
        leave(service, days)
        with structlog.testing.capture_logs() as lines:
            report_certificates(service.installation)
        heard[days] = [line["log_level"] for line in lines]
    assert heard == {
        31: [], 30: ["warning"], 14: ["warning"], 8: ["warning"],
        7: ["error"], 1: ["error"], 0: ["error"], -1: ["error"],
    }  # fmt: skip
