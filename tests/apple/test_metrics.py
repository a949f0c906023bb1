"""`/metrics`: what stands in the database, in numbers, for those who may know."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy import text

from tests.apple.conftest import Service
from walletsvc.app import CHANNELS, assemble
from walletsvc.app.web import create_app
from walletsvc.apple import metrics as apple_metrics
from walletsvc.core.actor import Actor
from walletsvc.jobs import bulk
from walletsvc.jobs import metrics as job_metrics
from walletsvc.jobs.changes import CHANGES, Lane, touch
from walletsvc.jobs.counters import add, histogram, series
from walletsvc.jobs.signals import Listener
from walletsvc.settings import Settings
from walletsvc.storage.engine import Database

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-for-the-scraper"
Samples = dict[tuple[str, tuple[str, ...]], float]


def scrape(client: FlaskClient) -> Samples:
    """Every sample by its name and the values of its labels, in the order of their names."""
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    return {
        (sample.name.removeprefix("walletsvc_"), tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_what_waits_is_counted_with_its_age(service: Service) -> None:
    """Changes by lane, those set aside among them; pushes by pass type, lane and state."""
    now = service.clock()
    service.register(0)
    service.drain()
    with service.database.write_tx() as session:
        session.execute(text("DELETE FROM pushes"))  # the registration's
        touch(session, "card", [1, 2], at=now - timedelta(seconds=30))
        touch(session, "card", [3], at=now - timedelta(seconds=90), lane=Lane.BULK)
        session.execute(
            text("UPDATE changes SET postponed_until = now() + interval '1 min' WHERE key = 2")
        )
        session.execute(
            text(
                "INSERT INTO pushes (device_id, pass_type_id, lane, due_at, attempts, created_at)"
                " SELECT d.id, :type, 0, n.due_at, 0, :created FROM devices d,"
                " unnest(CAST(:dues AS timestamptz[])) n(due_at)"
            ),
            {
                "type": service.shop.pass_type.id,
                "dues": [now - timedelta(seconds=1), now, now + timedelta(seconds=9)],
                "created": now - timedelta(seconds=20),
            },
        )
    found = scrape(service.client)
    # Enrolment and registration have left nothing: the drain has taken it.
    assert found["changes_waiting", ("interactive",)] == 2
    assert found["changes_postponed", ("interactive",)] == 1
    assert found["changes_oldest_seconds", ("interactive",)] == 30
    assert found["changes_waiting", ("bulk",)] == 1
    assert found["changes_oldest_seconds", ("bulk",)] == 90
    assert found["pushes_waiting", ("interactive", service.pass_type, "due")] == 2
    assert found["pushes_waiting", ("interactive", service.pass_type, "later")] == 1
    assert found["pushes_oldest_seconds", ("interactive", service.pass_type)] == 20
    assert found["pushes_waiting", ("bulk", service.pass_type, "due")] == 0
    assert found["pushes_oldest_seconds", ("bulk", service.pass_type)] == 0


def test_certificates_and_channels(service: Service) -> None:
    """Days left of the certificate that signs; nothing without one. The breaker as a number."""
    now = service.clock()
    signed = (service.pass_type,)
    for days in (-3, 13.5):
        with service.database.write_tx() as session:
            session.execute(
                text(
                    "UPDATE signing_certificates SET not_after = :then"
                    " WHERE pass_type_id = (SELECT id FROM pass_types WHERE identifier = :name)"
                ),
                {"then": now + timedelta(days=days), "name": service.pass_type},
            )
        found = scrape(service.client)
        assert found["certificate_days_left", signed] == days
    assert ("certificate_days_left", ("pass.test.shop",)) not in found
    assert found["push_channel_state", signed] == 0
    for number, state in ((1, "stopped"), (2, "paused"), (0, "open")):
        with service.database.write_tx() as session:
            session.execute(
                text(
                    "INSERT INTO push_channels (pass_type_id, state, reason, failures, since)"
                    " SELECT id, :state, 'why', 1, :now FROM pass_types WHERE identifier = :name"
                    " ON CONFLICT (pass_type_id) DO UPDATE SET state = :state"
                ),
                {"state": state, "name": service.pass_type, "now": now},
            )
        assert scrape(service.client)["push_channel_state", signed] == number


def test_jobs_workers_and_counters(service: Service) -> None:
    """Bulk jobs with their progress, queued jobs, who is at work, what was counted."""
    now = service.clock()
    with service.database.write_tx() as session:
        job = bulk.begin(
            session, kind="credit", title="t", parameters={}, total=50, actor=Actor("x", "y"),
            now=now,
        )  # fmt: skip
        job.done = 20
        session.execute(
            text(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, status, scheduled_at)"
                " VALUES ('default', 'a', 'todo', :past), ('default', 'a', 'todo', :future),"
                " ('default', 'a', 'failed', NULL)"
            ),
            {"past": now - timedelta(seconds=40), "future": now + timedelta(hours=1)},
        )
        add(session, {series("pushes", pass_type="pass.x", answer="done"): 7})
    with Listener(service.database.conninfo, CHANGES) as listener:
        listener.wait(5)
        found = scrape(service.client)
    assert found["bulk_jobs", ("credit", "running")] == 1
    assert found["bulk_items", ("credit", "running")] == 50
    assert found["bulk_items_done", ("credit", "running")] == 20
    assert found["jobs", ("todo",)] == 2
    assert found["jobs", ("failed",)] == 1
    assert found["jobs_oldest_seconds", ()] == 40
    assert found["workers", ("publish",)] == 1
    assert found["workers", ("send",)] == 0
    assert found["workers", ("jobs",)] == 0
    assert found["pushes_total", ("done", "pass.x")] == 7


def test_requests_are_counted_by_route(service: Service) -> None:
    """By what was asked, never by the path, which holds secrets; scrapes do not count."""
    service.register()
    service.client.get(service.list_url())
    service.client.get("/c/not-a-token")
    service.client.get("/nowhere")
    service.client.get("/healthz")
    service.installation.counted.flush()
    found = scrape(service.client)
    registration = "/apple/v1/devices/<library>/registrations/<pass_type>"
    assert found["http_requests_total", ("POST", f"{registration}/<serial>", "201")] == 1
    assert found["http_requests_total", ("GET", registration, "200")] == 1
    assert found["http_requests_total", ("GET", "/c/<token>", "404")] == 1
    assert found["http_requests_total", ("GET", "none", "404")] == 1
    assert found["http_request_seconds_count", ("GET", registration)] == 1
    routes = {labels[1] for name, labels in found if name == "http_requests_total"}
    assert routes == {registration, f"{registration}/<serial>", "/c/<token>", "none"}


def test_openmetrics_is_spoken_to_who_asks_for_it(service: Service) -> None:
    """Prometheus prefers it; the parser is strict about names and types."""
    service.register()
    service.installation.counted.flush()
    answer = service.client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert answer.content_type.startswith("application/openmetrics-text")
    families = list(openmetrics_families(answer.text))  # type: ignore[no-untyped-call]
    assert len(families) > 15
    assert all(family.documentation for family in families)


@pytest.mark.parametrize(
    "headers", [{"X-Forwarded-For": "203.0.113.9"}, {"Forwarded": "for=x"}, {"Via": "1.1 proxy"}]
)
def test_others_see_nothing(service: Service, headers: dict[str, str]) -> None:
    """Not even that there is something: a proxy on this machine asks for a stranger."""
    assert service.client.get("/metrics", headers=headers).status_code == 404
    away = {"REMOTE_ADDR": "203.0.113.9"}
    assert service.client.get("/metrics", environ_overrides=away).status_code == 404
    assert service.client.get("/metrics").status_code == 200


def test_the_token_opens_metrics_and_readiness(service: Service) -> None:
    """From wherever; a wrong one is told, without which nobody would find the mistake."""
    settings = service.installation.settings
    given = Settings(data_dir=settings.data_dir, metrics_token=SecretStr(TOKEN))
    installation = assemble(given, service.database, service.clock)
    client = create_app(installation).test_client()
    away = {"REMOTE_ADDR": "203.0.113.9"}
    basic = {"Authorization": f"Basic {TOKEN}"}
    for wrong in ({}, bearer("wrong"), bearer(TOKEN[:-1]), basic, {"Authorization": TOKEN}):
        answer = client.get("/metrics", headers=wrong, environ_overrides=away)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"]
        details = client.get("/readyz", headers=wrong, environ_overrides=away).get_json()
        assert "problems" not in details
    right = bearer(TOKEN)
    assert client.get("/metrics", headers=right, environ_overrides=away).status_code == 200
    details = client.get("/readyz", headers=right, environ_overrides=away).get_json()
    assert "Nobody sends pushes" in str(details["problems"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_without_a_database_it_says_so(service: Service) -> None:
    """One clear line for the person who looks, 503 for the scraper; never a traceback."""
    nowhere = Database("postgresql://u@127.0.0.1:1/x")
    away = assemble(service.installation.settings, nowhere, service.clock)
    answer = create_app(away).test_client().get("/metrics")
    assert answer.status_code == 503
    assert answer.text == "The database does not answer, so there are no numbers.\n"


def test_a_long_queue_does_not_make_a_scrape_slow(service: Service) -> None:
    """100,000 changes and as many pushes are read once, in one pass each."""
    now = service.clock()
    service.register()
    with service.database.write_tx() as session:
        session.execute(text("SET LOCAL session_replication_role = replica"))  # quicker
        touch(session, "card", range(100_000), at=now, lane=Lane.BULK)
        touch(session, "card", [1, 2], at=now)
        session.execute(
            text(
                "INSERT INTO pushes (device_id, pass_type_id, lane, due_at, attempts, created_at)"
                " SELECT d.id, :type, 1, :now, 0, :now FROM devices d, generate_series(1, 100000)"
            ),
            {"type": service.shop.pass_type.id, "now": now},
        )
        cost = 0.0
        for statement in (job_metrics._CHANGES, apple_metrics._PUSHES):
            plan = session.execute(
                text(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.text}"), {"now": now}
            ).scalar_one()
            cost += plan[0]["Execution Time"]
    print(f"{cost:.1f} ms")
    assert cost < 1000  # some 40 ms on a machine that has nothing else to do
    found = scrape(service.client)
    assert found["changes_waiting", ("bulk",)] == 100_000
    assert found["pushes_waiting", ("bulk", service.pass_type, "due")] == 100_000
    assert list(CHANNELS) == ["publish", "send", "messages"]


def test_every_metric_is_documented(service: Service) -> None:
    """With its type, in docs/metrics.md; and nothing there is made up."""
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `walletsvc_(\w+)` \| (\w+) \|", page, re.MULTILINE)
    with service.database.write_tx() as session:
        counted = dict.fromkeys(map(series, job_metrics.COUNTED), 1)
        for name in (name for name in job_metrics.COUNTED if name.endswith("_seconds")):
            del counted[series(name)]
            counted |= histogram(name, [1.0])
        add(session, counted)
    answer = service.client.get("/metrics").text
    shown = re.findall(r"^# TYPE walletsvc_(\w+) (\w+)", answer, re.MULTILINE)
    assert sorted(rows) == sorted(shown)
