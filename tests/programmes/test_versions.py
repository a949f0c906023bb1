"""Versions of rules: drafts, publishing, which one counts when, and what a book may name."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from tests.factories import TILL, Shop, make_shop
from tests.programmes.books import LEVELS, book
from walletsvc.core.errors import Conflict, InputError, NotFound, Refused
from walletsvc.jobs import events
from walletsvc.merchants.acceptance import accept
from walletsvc.merchants.groups import create_branch_group
from walletsvc.merchants.service import create_branch, create_organisation
from walletsvc.programmes import versions
from walletsvc.programmes.models import RuleState, RuleVersion
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.storage.engine import Database

HOUR = timedelta(hours=1)


def publish(session: Session, shop: Shop, rules: RuleBook, now: datetime) -> RuleVersion:
    versions.save_draft(session, shop.programme, rules, TILL, "", now)
    return versions.publish(session, shop.programme, TILL, now)


def test_a_draft_is_replaced_and_then_published(database: Database, now: datetime) -> None:
    """One draft at a time; its number stays; published it is the rules, and the former retires."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
        assert versions.current(session, shop.programme.id) is None
        first = versions.save_draft(session, shop.programme, book(), TILL, "осень", now)
        again = versions.save_draft(session, shop.programme, book(*LEVELS), TILL, "", now + HOUR)
        assert (again.id, again.number, again.note) == (first.id, 1, "")
        done = versions.publish(session, shop.programme, TILL, now + HOUR)
        assert (done.state, done.published_at) == (RuleState.PUBLISHED, now + HOUR)
        assert versions.book_of(done) == book(*LEVELS)
        second = publish(session, shop, book(), now + 2 * HOUR)
        assert (second.number, done.state, done.retired_at) == (
            2,
            RuleState.RETIRED,
            now + 2 * HOUR,
        )
        assert versions.current(session, shop.programme.id) == second
        assert [v.number for v in versions.list_versions(session, shop.programme)] == [2, 1]
        listed = versions.list_versions(session, shop.programme, before=2)
        assert [v.number for v in listed] == [1]
        assert versions.get(session, shop.programme, 1) == done
        with pytest.raises(NotFound, match="no version 3"):
            versions.get(session, shop.programme, 3)


def test_a_book_comes_back_as_it_was_saved(database: Database, now: datetime) -> None:
    """Through JSON and the database, fields with odd names and decimals too."""
    full = book(
        *LEVELS,
        earn={"percent_by_tier": {"bronze": "3", "silver": "5", "gold": "7.5"}},
        tier_base={"window_days": 365, "downgrade": "monthly"},
        promotions=[
            {
                "id": "night",
                "name": {"ru": "Ночь", "en": "Night"},
                "when": {
                    "hours": {"from": "22:00", "until": "06:00"},
                    "dates": {"from": "2026-11-01", "until": None},
                },
                "effect": {"kind": "multiplier", "factor": "1.5"},
            }
        ],
    )
    with database.write_tx() as session:
        shop = make_shop(session, now)
        number = publish(session, shop, full, now).number
    with database.read_tx() as session:
        stored = versions.get(session, shop.programme, number)
        assert RuleBook.model_validate(stored.book) == full == versions.book_of(stored)


def test_which_version_counts_at_a_moment(database: Database, now: datetime) -> None:
    """A late message is computed by the rules of its own time; the first rules are before it."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
        id_ = shop.programme.id
        assert versions.published_at(session, id_, now) is None
        versions.save_draft(session, shop.programme, book(), TILL, "", now)
        assert versions.published_at(session, id_, now) is None, "a draft counts for nothing"
        numbers = [publish(session, shop, book(), now + hours * HOUR).number for hours in (0, 2, 4)]

        def counts(hours: float) -> int:
            found = versions.published_at(session, id_, now + hours * HOUR)
            assert found is not None
            return found.number

        versions.save_draft(session, shop.programme, book(), TILL, "", now + 5 * HOUR)
        assert [counts(hours) for hours in (-9, 0, 1.9, 2, 3, 4, 99)] == [
            numbers[0], numbers[0], numbers[0], numbers[1], numbers[1], numbers[2], numbers[2],
        ]  # fmt: skip


def test_hosts_whose_clocks_differ_keep_the_order(database: Database, now: datetime) -> None:
    """A version that a slow clock publishes does not count from before the one it replaces."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
        publish(session, shop, book(), now)
        later = publish(session, shop, book(*LEVELS), now - HOUR)
        assert later.published_at == now
        assert versions.published_at(session, shop.programme.id, now) == later


def test_nothing_to_publish_and_a_closed_programme(database: Database, now: datetime) -> None:
    """Said, and nothing is written."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
        with pytest.raises(Conflict, match="no draft"):
            versions.publish(session, shop.programme, TILL, now)
        shop.programme.closed_at = now
        session.add(shop.programme)
        session.flush()
        with pytest.raises(Refused, match="closed"):
            versions.save_draft(session, shop.programme, book(), TILL, "", now)


def test_the_database_knows_one_draft_and_one_published(database: Database, now: datetime) -> None:
    """Whoever goes around the service is stopped."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
        publish(session, shop, book(), now)
        versions.save_draft(session, shop.programme, book(), TILL, "", now)
    common: dict[str, Any] = {
        "programme_id": shop.programme.id, "number": 9, "book": {}, "actor": "x",
        "created_at": now, "updated_at": now,
    }  # fmt: skip
    for state, moment in ((RuleState.DRAFT, None), (RuleState.PUBLISHED, now)):
        with (
            pytest.raises(IntegrityError, match="uq_rule_versions"),
            database.write_tx() as session,
        ):
            session.add(RuleVersion(state=state, published_at=moment, **common))


def promotion(**when: Any) -> dict[str, Any]:
    return {
        "id": "some",
        "name": {"ru": "Что-то", "en": "Something"},
        "when": when,
        "effect": {"kind": "percent", "percent": "1"},
    }


def test_what_a_book_names_must_be_there_and_be_the_programmes(
    database: Database, now: datetime
) -> None:
    """Organisations that accept its points, their branches, its own groups; each error is named."""
    with database.write_tx() as session:
        shop, other = make_shop(session, now), make_shop(session, now, "other")
        stranger = create_organisation(session, slug="stranger", name="S", now=now)
        accept(session, shop.organisation, other.organisation, True, False, now)
        accept(session, shop.organisation, stranger, False, True, now)
        own, partners, foreign = (
            create_branch(session, organisation_id=owner, name="B", now=now).public_id
            for owner in (shop.organisation.id, other.organisation.id, stranger.id)
        )
        for owner, slug in ((shop.organisation.id, "ours"), (other.organisation.id, "theirs")):
            create_branch_group(session, organisation_id=owner, slug=slug, name="G", now=now)
        good = book(
            tier_base={"organisations": ["shop", "other"]},
            promotions=[
                promotion(organisations=["other"], branches=[own, partners], branch_groups=["ours"])
            ],
        )
        versions.save_draft(session, shop.programme, good, TILL, "", now)
        bad = book(
            tier_base={"organisations": ["shop", "stranger"]},
            promotions=[
                promotion(),
                promotion(
                    organisations=["nobody"], branches=[own, foreign], branch_groups=["theirs"]
                )
                | {"id": "other"},
            ],
        )
        with pytest.raises(InputError) as raised:
            versions.save_draft(session, shop.programme, bad, TILL, "", now)
        assert [(each.field, each.code) for each in raised.value.fields] == [
            ("tier_base.organisations.1", "unknown"),
            ("promotions.1.when.organisations.0", "unknown"),
            ("promotions.1.when.branches.1", "unknown"),
            ("promotions.1.when.branch_groups.0", "unknown"),
        ]
        draft = versions.find_draft(session, shop.programme.id)
        assert draft is not None
        assert versions.book_of(draft) == good


def test_publishing_looks_again(database: Database, now: datetime) -> None:
    """A partner that left since the draft was saved is found."""
    with database.write_tx() as session:
        shop, other = make_shop(session, now), make_shop(session, now, "other")
        row = accept(session, shop.organisation, other.organisation, True, False, now)
        wide = book(tier_base={"organisations": ["other"]})
        versions.save_draft(session, shop.programme, wide, TILL, "", now)
        session.delete(row)
        session.flush()
        with pytest.raises(InputError, match=r"tier_base\.organisations\.0"):
            versions.publish(session, shop.programme, TILL, now)


def test_publishing_says_so(database_url: str, now: datetime) -> None:
    """One event in the same transaction, with the former version; a handler that raises undoes."""
    told: list[events.RulesPublished] = []
    handlers: events.Handlers = {events.RulesPublished: (lambda _, event: told.append(event),)}
    database = Database(database_url, carried=events.carried(handlers))
    with database.write_tx() as session:
        shop = make_shop(session, now)
        first = publish(session, shop, book(), now)
        second = publish(session, shop, book(), now)
    assert [(event.version_id, event.former_id) for event in told] == [
        (first.id, None),
        (second.id, first.id),
    ]

    def broken(_session: Session, _event: object) -> None:
        raise Conflict("no")

    database.close()
    database = Database(database_url, carried=events.carried({events.RulesPublished: (broken,)}))
    with pytest.raises(Conflict, match="no"), database.write_tx() as session:
        publish(session, shop, book(*LEVELS), now)
    with database.read_tx() as session:
        assert versions.current(session, shop.programme.id) == second
        assert versions.find_draft(session, shop.programme.id) is None
    database.close()
