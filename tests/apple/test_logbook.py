"""What devices complain about is kept, without secrets and within bounds."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from tests.apple.conftest import LIBRARY, Service, counts


def test_device_logs_are_kept_without_secrets_and_capped(service: Service) -> None:
    """The best diagnostic there is, and anyone may write to it."""
    token = service.members[0][1].auth_token
    lines = [
        f"Web service error for pass.test: Authorization: ApplePass {token}",
        f"[2026-11-20 10:00:00 +0300] Get serials (for device {LIBRARY}): status 500",
        "call +7 900 000-10-00\x00\x1b[31m or 8 (900) 000-10-00, anna@example.com",
        "x" * 5000,
    ] + ["again"] * 300
    assert service.client.post("/apple/v1/log", json={"logs": lines}).status_code == 200
    with service.database.read_tx() as session:
        kept = session.execute(text("SELECT message FROM device_logs ORDER BY id")).scalars().all()
    assert len(kept) == 50
    together = "\n".join(kept)
    assert token not in together
    assert LIBRARY not in together
    assert "000-10-00" not in together
    assert "anna@" not in together
    assert "2026-11-20 10:00:00" in together
    assert max(map(len, kept)) <= 1000


def test_device_logs_stop_at_a_rate(service: Service) -> None:
    """A flood fills no disk; a minute later there is room again."""
    for _ in range(20):
        service.client.post("/apple/v1/log", json={"logs": ["flood"] * 50})
    assert service.count("device_logs") == 600
    service.ticks.append(timedelta(seconds=61))
    service.client.post("/apple/v1/log", json={"logs": ["after"]})
    assert service.count("device_logs") == 601


def test_a_bad_log_body_is_refused_and_writes_nothing(service: Service) -> None:
    """Clear 4xx, never a 500."""
    before = counts(service)
    for body in (b"", b"[]", b'{"logs": "x"}', b'{"logs": [1]}', b"{}", b'{"logs": null}', b"\x80"):
        answer = service.client.post("/apple/v1/log", data=body, content_type="application/json")
        assert 400 <= answer.status_code < 500, body
    assert counts(service) == before
