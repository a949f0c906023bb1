"""Google's side of publishing."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlmodel import Session, select

from tests.google.shop import GOOGLE, HOUSE, PUBLISHER, google_pass
from tests.passes.shop import DIALECTS, TILL, certificate, member, open_shop
from walletsvc.app import dialects
from walletsvc.cards.models import Card
from walletsvc.google.dialect import GoogleDialect
from walletsvc.google.issuer import ensure_issuer, find_issuer
from walletsvc.google.models import (
    GoogleClass,
    GoogleIssuer,
    GoogleMessage,
    GoogleObject,
    IssuerState,
    MessageState,
)
from walletsvc.google.wanted import House
from walletsvc.jobs.changes import Lane
from walletsvc.ledger import service as ledger
from walletsvc.passes.models import Pass, PassTemplate, PassType, Wallet
from walletsvc.passes.protocol import Announcement
from walletsvc.passes.publish import Publisher
from walletsvc.passes.service import ensure_pass, find_by_link
from walletsvc.settings import Settings
from walletsvc.storage.engine import Database


def saved(session: Session, now: datetime, points: int = 5) -> tuple[Pass, GoogleObject]:
    """A card in somebody's Google Wallet."""
    made = google_pass(session, member(session, open_shop(session, now), now, points=points), now)
    row = session.get_one(GoogleObject, made.id)
    row.inserted_at, row.has_users, row.sent_revision = now, True, made.revision
    session.flush()
    return made, row


def earn(session: Session, made: Pass, now: datetime, lane: Lane = Lane.INTERACTIVE) -> set[int]:
    """A point more, published as the worker does."""
    card = member_of(session, made)
    ledger.credit(session, card, 1, source="x", actor=TILL, reason="x", now=now)
    return PUBLISHER.publish(session, PUBLISHER.held(session, [made.id]), lane=lane, now=now)


def member_of(session: Session, made: Pass) -> int:
    """The account of the card."""
    return session.get_one(Card, made.card_id).account_id


def test_google_is_a_wallet_where_it_has_an_issuer_id() -> None:
    """An installation without one does not know of it."""
    plain = dialects(Settings(public_url="https://cards.example"))
    assert [dialect.wallet for dialect in plain] == [Wallet.APPLE]
    both = dialects(Settings(public_url="https://cards.example", google_issuer_id="33"))
    assert [dialect.wallet for dialect in both] == [Wallet.APPLE, Wallet.GOOGLE]


def test_a_change_makes_a_saved_object_due(database: Database, now: datetime) -> None:
    """Once, however often it changes before it is sent."""
    with database.write_tx() as session:
        made, row = saved(session, now)
        assert (row.due_at, row.lane) == (None, 0)
        assert earn(session, made, now) == {made.id}
        assert earn(session, made, now + timedelta(seconds=9)) == {made.id}
        session.expire(row)
        found = session.get_one(GoogleObject, made.id)
        assert (found.due_at, found.lane) == (now, int(Lane.INTERACTIVE))


def test_what_nobody_saved_is_not_published(database: Database, now: datetime) -> None:
    """Its holder may have closed Google's page; a later click brings it up to date."""
    with database.write_tx() as session:
        made, row = saved(session, now)
        row.has_users = False
        session.flush()
        assert earn(session, made, now) == set()
        session.refresh(row)
        assert row.due_at is None


def test_what_google_does_not_have_is_not_due(database: Database, now: datetime) -> None:
    """The click that inserts it is still under way."""
    with database.write_tx() as session:
        made, row = saved(session, now)
        row.inserted_at = None
        session.flush()
        earn(session, made, now)
        session.refresh(row)
        assert row.due_at is None


def test_the_more_urgent_lane_wins(database: Database, now: datetime) -> None:
    """A purchase during a broadcast takes the object along; not the other way round."""
    with database.write_tx() as session:
        made, row = saved(session, now)
        for lane, expected in (
            (Lane.BULK, Lane.BULK),
            (Lane.INTERACTIVE, Lane.INTERACTIVE),
            (Lane.BULK, Lane.INTERACTIVE),
        ):
            earn(session, made, now, lane)
            session.refresh(row)
            assert row.lane == expected


def test_an_object_on_its_way_keeps_its_time(database: Database, now: datetime) -> None:
    """A claim moved it past the lease; a change meanwhile must not have it sent twice at once."""
    lease = now + timedelta(minutes=2)
    with database.write_tx() as session:
        made, row = saved(session, now)
        row.due_at = lease
        session.flush()
        earn(session, made, now)
        session.refresh(row)
        assert row.due_at == lease


def test_the_backlog_is_the_bulk_lane_of_the_issuer(database: Database, now: datetime) -> None:
    """Broadcasts wait for it; with a stopped issuer only when asked to."""
    with database.write_tx() as session:
        made, _ = saved(session, now)
        assert GOOGLE.backlog(session, made.pass_type_id, 10) == 0
        earn(session, made, now, Lane.BULK)
        assert GOOGLE.backlog(session, made.pass_type_id, 10) == 1
        assert GOOGLE.backlog(session, made.pass_type_id, 0) == 0
        assert GOOGLE.backlog(session, made.pass_type_id + 1, 10) == 0
        issuer = session.get_one(GoogleIssuer, made.pass_type_id)
        issuer.state = IssuerState.STOPPED
        session.flush()
        assert GOOGLE.backlog(session, made.pass_type_id, 10) == 1
        assert GOOGLE.backlog(session, made.pass_type_id, 10, standing=False) == 0


def test_the_pass_types_of_a_template_are_those_of_all_wallets(
    database: Database, now: datetime
) -> None:
    """A broadcast waits for the slower of the two."""
    with database.write_tx() as session:
        made, _ = saved(session, now)
        template = session.get_one(PassTemplate, made.template_id)
        found = PUBLISHER.pass_types(session, [template.id])
        assert found == {template.pass_type_id, made.pass_type_id}
        assert Publisher(DIALECTS).pass_types(session, [template.id]) == {template.pass_type_id}
        assert PUBLISHER.pass_types(session, []) == set()


def test_a_pass_of_a_wallet_that_is_gone_stays_as_it_is(database: Database, now: datetime) -> None:
    """The issuer id was taken out of the settings; Apple's phones are still told."""
    with database.write_tx() as session:
        made, _ = saved(session, now)
        ledger.credit(
            session, member_of(session, made), 1, source="x", actor=TILL, reason="x", now=now
        )
        ids = session.exec(select(Pass.id)).all()
        apple = session.exec(select(Pass.id).where(Pass.wallet == Wallet.APPLE)).one()
        alone = Publisher(DIALECTS)
        assert alone.publish(session, ids, lane=Lane.BULK, now=now) == {apple}


def test_a_new_address_publishes_every_pass_anew(database: Database, now: datetime) -> None:
    """It stands in every object."""
    with database.write_tx() as session:
        made, _ = saved(session, now)
        assert PUBLISHER.publish(session, [made.id], lane=Lane.BULK, now=now) == set()
        moved = GoogleDialect(House(HOUSE.issuer_id, "https://new.example", "ru"))
        assert Publisher([moved]).publish(session, [made.id], lane=Lane.BULK, now=now) == {made.id}


def test_an_announcement_is_a_message_to_the_class(database: Database, now: datetime) -> None:
    """In all languages that it was written in; Apple has no such thing."""
    told = Announcement(
        {"ru": "Кофейни", "en": "Coffee shops"}, {"ru": "Переехали.", "en": "We moved."}
    )
    with database.write_tx() as session:
        open_shop(session, now)
        template = session.exec(select(PassTemplate)).first()
        assert template is not None
        assert GOOGLE.announce(session, template.id, told, now=now)
        assert not DIALECTS[0].announce(session, template.id, told, now=now)
        (row,) = session.exec(select(GoogleMessage)).all()
        parent = session.exec(select(GoogleClass)).one()
    assert (row.google_class_id, row.pass_id, row.due_at) == (parent.id, None, now)
    assert (row.state, row.wants_buzz) == (MessageState.DUE, True)
    assert (row.body["header"], row.body["body"]) == ("Кофейни", "Переехали.")
    assert row.body["localizedBody"]["translatedValues"] == [
        {"language": "en", "value": "We moved."}
    ]


def test_the_issuer_is_a_pass_type_of_google(database: Database, now: datetime) -> None:
    """Made once, with its limiter open."""
    with database.write_tx() as session:
        assert find_issuer(session, "33") is None
        made = ensure_issuer(session, "33", now)
        assert ensure_issuer(session, "33", now + timedelta(days=1)).id == made.id
        row = session.get_one(GoogleIssuer, made.id)
        assert (made.wallet, made.identifier, made.epoch) == (
            Wallet.GOOGLE,
            "33",
            int(now.timestamp()),
        )
        assert (row.state, row.free_at) == (IssuerState.OPEN, now)
        session.add(PassType(identifier="44", team_identifier="T", epoch=1, created_at=now))
        session.flush()
        with pytest.raises(ValueError, match="another wallet"):
            ensure_issuer(session, "44", now)


def test_two_clicks_at_once_make_one_pass(database: Database, now: datetime) -> None:
    """Also of the first card that ever goes to Google, with the issuer's row."""
    with database.write_tx() as session:
        shop = open_shop(session, now)
        tokens = [member(session, shop, now).link_token, certificate(session, shop, now).link_token]
    start = threading.Barrier(4)

    def click(token: str) -> int:
        start.wait()
        with database.write_tx() as session:
            subject = find_by_link(session, token)
            assert subject is not None
            return ensure_pass(session, subject, GOOGLE, now).id

    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(click, tokens * 2))
    assert ids[:2] == ids[2:]
    with database.read_tx() as session:
        made = session.exec(select(Pass).where(Pass.wallet == Wallet.GOOGLE)).all()
        issuer = find_issuer(session, HOUSE.issuer_id)
        assert issuer is not None
        assert {each.id for each in made} == set(ids)
        assert {each.pass_type_id for each in made} == {issuer.id}
        assert len({each.auth_token for each in made} | {each.serial for each in made}) == 4
