"""`walletsvc passes`: the timeline on a terminal."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from tests.factories import TILL, make_member, make_shop
from walletsvc.apple.dialect import AppleDialect
from walletsvc.cards.models import Card
from walletsvc.cli.passes import passes
from walletsvc.core.clock import utcnow
from walletsvc.core.errors import NotFound, Refused
from walletsvc.google.dialect import GoogleDialect
from walletsvc.google.issuer import ensure_object
from walletsvc.google.wanted import House
from walletsvc.jobs.changes import Lane
from walletsvc.ledger.service import credit
from walletsvc.passes.events import Event, record
from walletsvc.passes.models import EventKind, Pass
from walletsvc.passes.publish import Publisher
from walletsvc.passes.service import ensure_pass, find_by_link
from walletsvc.storage.engine import Database


@pytest.fixture
def member(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Card, Pass]:
    """A card whose balance changed twice, and a phone that was told of it and left."""
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", database_url)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    start = utcnow() - timedelta(hours=1)
    publisher = Publisher([AppleDialect("http://x")])
    with database.write_tx() as session:
        shop = make_shop(session, start)
        card, pass_ = make_member(session, shop, start)

        def event(kind: EventKind, at: datetime, **detail: object) -> Event:
            return Event(at, kind, pass_.pass_type_id, pass_.id, 7, detail)

        for number, points in enumerate((120, 50)):
            at = start + timedelta(minutes=number)
            credit(session, card.account_id, points, source="test", actor=TILL, reason="gift",
                   now=at)  # fmt: skip
            publisher.publish(session, [pass_.id], lane=Lane.INTERACTIVE, now=at)
        registered = event(EventKind.REGISTERED, start, fresh=True, stale=False)
        record(session, [registered, event(EventKind.UNREGISTERED, at)])
    return card, pass_


def run(*arguments: str) -> Result:
    return CliRunner().invoke(passes, arguments, catch_exceptions=False)


def test_the_timeline_can_be_read_on_a_terminal(member: tuple[Card, Pass]) -> None:
    """The verdict first and last; what differs in the middle; no line runs over."""
    card, pass_ = member
    result = run("timeline", card.number, "--language", "en")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].startswith(f"Pass {pass_.serial}")
    verdicts = [at for at, line in enumerate(lines) if line.startswith("Verdict: ")]
    assert len(verdicts) == 2
    assert verdicts[0] < 5
    assert lines[-1].strip() == "[certificate-missing]"
    assert "points 120 → 170" in result.output
    assert "credit +50, balance 170 («gift»), by till:test" in result.output
    assert "[removed]" in result.output
    assert max(map(len, lines)) <= 100
    assert "Анна" not in result.output


def test_the_timeline_speaks_russian_and_json(member: tuple[Card, Pass]) -> None:
    """Russian is the default of the installation; programs get what REST answers."""
    card, pass_ = member
    assert "Вывод: " in run("timeline", card.public_id).output
    body = json.loads(run("timeline", pass_.serial, "--json", "--limit", "2").output)
    assert (body["serial"], len(body["items"])) == (pass_.serial, 2)
    assert body["next_cursor"] is not None
    assert body["findings"][-1]["code"] == "removed"


def test_show_tells_how_it_stands_without_the_story(member: tuple[Card, Pass]) -> None:
    """What is published, and the verdict."""
    output = run("show", member[0].number, "--language", "en").output
    assert "revision 2, tag 7-2" in output
    assert "Verdict: " in output
    assert "points" not in output


def test_a_card_in_both_wallets_is_told_twice(
    member: tuple[Card, Pass], database: Database
) -> None:
    """Each with its own head and verdict, Google's with what is left of its notifications."""
    card, pass_ = member
    now = utcnow()
    dialect = GoogleDialect(House("3388000000022000000", "https://cards.example", "ru"))
    with database.write_tx() as session:
        subject = find_by_link(session, card.link_token)
        assert subject is not None
        made = ensure_pass(session, subject, dialect, now)
        ensure_object(session, made, now)
        Publisher([dialect]).publish(session, [made.id], lane=Lane.INTERACTIVE, now=now)
    output = run("timeline", card.number, "--language", "en").output
    heads = [line for line in output.splitlines() if line.startswith("Pass ")]
    assert heads[0].startswith(f"Pass {pass_.serial} (Apple Wallet, ")
    assert heads[1].startswith(f"Pass {made.serial} (Google Wallet, 3388000000022000000)")
    assert "Notifications: all 3 of 24 hours are left" in output
    assert output.splitlines()[-1].strip() == "[google-not-inserted]"
    assert max(map(len, output.splitlines())) <= 100
    assert "Apple" not in run("show", made.serial, "--language", "en").output
    body = json.loads(run("timeline", card.number, "--json").output)
    assert [body["serial"], body["others"][0]["serial"]] == [pass_.serial, made.serial]


def test_what_is_wrong_is_told(member: tuple[Card, Pass]) -> None:
    """An unknown pass, an odd age."""
    with pytest.raises(NotFound, match="no such pass"):
        run("timeline", "79001234567")
    for since in ("0d", "2", "d", "yesterday", "-1d", "999999d"):
        odd = run("timeline", member[0].number, "--since", since)
        assert odd.exit_code == 2
        assert "30m, 12h or 2d" in odd.output
    assert run("timeline", member[0].number, "--since", "2d", "--limit", "1").exit_code == 0


def test_without_google_wallet_nothing_can_be_announced(member: tuple[Card, Pass]) -> None:
    """Apple Wallet has no such message, and the command says so."""
    del member
    with pytest.raises(Refused, match="Google Wallet"):
        run("announce", "--programme", "shop", "--ru", "Мы переехали", "Невский, 10")


def test_a_dry_run_of_an_announcement_says_whom_it_would_reach(
    member: tuple[Card, Pass], monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    """And queues nothing; without it one message is queued."""
    del member
    monkeypatch.setenv("WALLETSVC_GOOGLE_ISSUER_ID", "3388000000022000000")
    words = ["announce", "--programme", "shop", "--ru", "Мы переехали", "Невский, 10"]
    tried = run(*words, "--dry-run").output
    assert "google: 0 cards would be told, 0 of them with a sound." in tried
    assert "apple: 0 cards are not told: this wallet has no such message." in tried

    def queued() -> int:
        with database.read_tx() as session:
            return int(session.execute(text("SELECT count(*) FROM google_messages")).scalar_one())

    assert queued() == 0
    assert "are told" in run(*words).output
    assert queued() == 1
