"""Tiers follow purchases: up at once, never from a balance, shared by a family."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import event, text

from tests.factories import TILL, make_shop
from tests.programmes.books import LEVELS, book
from tests.programmes.tiers.club import Club, bought
from walletsvc.cards.groups import service as groups
from walletsvc.jobs import events
from walletsvc.ledger import service as ledger
from walletsvc.merchants.acceptance import accept
from walletsvc.programmes.tiers import queries, service
from walletsvc.programmes.tiers.models import AccountTier, TierCause
from walletsvc.storage.engine import Database


def test_up_at_once_and_not_down_after_a_refund(club: Club) -> None:
    """The purchase that reaches a threshold moves the card; taking it back does not."""
    club.publish(book(*LEVELS))
    card = club.card()
    assert club.buy(card, 99_999) is None
    assert club.tier(card) == "bronze"
    change = club.buy(card, 1)
    assert change is not None
    assert (change.from_tier, change.to_tier, change.cause) == ("bronze", "silver", "purchase")
    assert club.buy(card, 900_000) is not None
    assert club.tier(card) == "gold"
    assert club.buy(card, -999_000) is None
    assert club.tier(card) == "gold"
    with club.database.read_tx() as session:
        row = session.get_one(AccountTier, card.account_id)
        assert (row.base, row.since, row.checked_on) == (1_000, club.now, club.day())
    assert [(a, b) for a, b, _ in club.changes()] == [("bronze", "silver"), ("silver", "gold")]


def test_down_when_it_is_asked_for(club: Club) -> None:
    """Without `upgrade_only` the tier is what the turnover reaches."""
    club.publish(book(*LEVELS))
    card = club.card()
    club.buy(card, 600_000)
    club.buy(card, -550_000)
    with club.database.write_tx() as session:
        change = service.reconsider(
            session, card.account_id, club.shop.programme, club.now, TierCause.SCHEDULE,
            upgrade_only=False,
        )  # fmt: skip
        assert change is not None
        assert change.to_tier == "bronze"
    assert club.tier(card) == "bronze"


def test_a_tier_never_comes_from_a_balance(club: Club) -> None:
    """A million points credited by hand reach nothing; spending all of them loses nothing."""
    club.publish(book(*LEVELS))
    rich, poor = club.card(), club.card()
    with club.database.write_tx() as session:
        for card in (rich, poor):
            ledger.credit(
                session, card.account_id, 1_000_000, source="test", actor=TILL, reason="",
                now=club.now,
            )  # fmt: skip
    assert club.buy(rich, 100) is None
    assert club.tier(rich) == "bronze"
    club.buy(poor, 500_000)
    with club.database.write_tx() as session:
        ledger.debit(session, poor.account_id, 1_000_000, actor=TILL, reason="", now=club.now)
    club.buy(poor, 1)
    assert club.tier(poor) == "gold"


def test_which_purchases_count(club: Club) -> None:
    """Those of the chosen organisations and of the window; for all time and everywhere unless."""
    with club.database.write_tx() as session:
        other = make_shop(session, club.now, "other").organisation
        accept(session, club.shop.organisation, other, True, False, club.now)
    card = club.card()
    club.buy(card, 1_000, days_ago=400)
    club.buy(card, 200, days_ago=29)
    club.buy(card, 30, days_ago=30)
    club.buy(card, 4, organisation_id=other.id)

    def base(**tier_base: object) -> int:
        rules = book(*LEVELS, tier_base=tier_base)
        with club.database.read_tx() as session:
            return queries.tier_base(session, card.account_id, rules, club.day())

    assert base() == 1_234
    assert base(window_days=30) == 204
    assert base(organisations=["shop"]) == 1_230
    assert base(organisations=["other"]) == 4
    assert base(organisations=["other"], window_days=1) == 4
    assert base(organisations=["shop"], window_days=31) == 230


def test_the_first_look_counts_what_was_bought_before(club: Club) -> None:
    """No rules, no tier and no row, but purchases are remembered."""
    card = club.card()
    assert club.buy(card, 600_000) is None
    assert club.tier(card) == "-"
    club.publish(book(*LEVELS))
    change = club.buy(card, 1)
    assert change is not None
    assert change.to_tier == "gold"


def test_a_programme_without_tiers_has_none(club: Club) -> None:
    """Counted all the same, for tiers that may come."""
    club.publish(book())
    card = club.card()
    assert club.buy(card, 600_000) is None
    assert club.tier(card) is None
    with club.database.read_tx() as session:
        found = queries.standing(session, club.shop.programme.id, card.account_id)
        assert found == queries.Standing(None, 600_000, None, None)


def test_where_an_account_stands(club: Club) -> None:
    """The tier, the next one and what is missing, also for a card that has bought nothing."""
    rules = book(*LEVELS)
    with club.database.read_tx() as session:
        assert queries.standing(session, club.shop.programme.id, 1) is None
    club.publish(rules)
    card, fresh = club.card(), club.card()
    club.buy(card, 120_000)
    with club.database.read_tx() as session:
        programme = club.shop.programme.id
        stands = queries.standing(session, programme, card.account_id)
        begins = queries.standing(session, programme, fresh.account_id)
    bronze, silver, gold = rules.tiers
    assert stands == queries.Standing(silver, 120_000, gold, 380_000)
    assert begins == queries.Standing(bronze, 0, silver, 100_000)
    assert queries.standing_in(rules, "gold", 700_000) == queries.Standing(
        gold, 700_000, None, None
    )
    # Kept although no longer reached: the next one is above the tier, not above the turnover.
    assert queries.standing_in(rules, "silver", 0) == queries.Standing(silver, 0, gold, 500_000)
    assert queries.standing_in(rules, "platinum", 130_000).tier == silver


def test_who_joins_brings_turnover_and_the_better_tier(club: Club) -> None:
    """Also when the tier is no longer reached, and when only the sum reaches more."""
    club.publish(book(*LEVELS))
    host, kept, third = club.card(), club.card(), club.card()
    club.buy(host, 60_000, days_ago=2)
    club.buy(host, 10_000)
    club.buy(kept, 100_000)
    club.buy(kept, -90_000)
    club.buy(third, 5_000)
    with club.database.write_tx() as session:
        groups.approve(session, kept, host, reason="Семья", actor=TILL, now=club.now)
    assert club.tier(host) == "silver"
    with club.database.write_tx() as session:
        groups.approve(session, third, host, reason="Семья", actor=TILL, now=club.now)
    assert club.tier(third) == "silver"
    assert club.changes()[-1] == ("bronze", "silver", TierCause.MERGE)
    with club.database.read_tx() as session:
        assert session.get(AccountTier, kept.account_id) is None
        rows = session.execute(
            text("SELECT account_id, day, amount FROM turnover ORDER BY day")
        ).all()
        assert [tuple(row) for row in rows] == [
            (host.account_id, club.day(2), 60_000),
            (host.account_id, club.day(), 25_000),
        ]
        assert session.get_one(AccountTier, host.account_id).base == 85_000


def test_two_small_turnovers_reach_a_tier_together(club: Club) -> None:
    """The sum counts at once."""
    club.publish(book(*LEVELS))
    host, guest = club.card(), club.card()
    club.buy(host, 60_000)
    club.buy(guest, 60_000)
    with club.database.write_tx() as session:
        groups.approve(session, guest, host, reason="Семья", actor=TILL, now=club.now)
    assert club.tier(host) == "silver"
    assert club.changes() == [("bronze", "silver", TierCause.MERGE)]


def test_joining_before_there_are_rules_moves_turnover(club: Club) -> None:
    """Nothing of what was bought is forgotten."""
    host, guest = club.card(), club.card()
    club.buy(host, 60_000)
    club.buy(guest, 60_000)
    with club.database.write_tx() as session:
        groups.approve(session, guest, host, reason="Семья", actor=TILL, now=club.now)
    club.publish(book(*LEVELS))
    change = club.buy(host, 1)
    assert change is not None
    assert change.to_tier == "silver"


def test_who_leaves_keeps_the_tier_and_begins_anew(club: Club) -> None:
    """The turnover stays with the group."""
    club.publish(book(*LEVELS))
    host, guest = club.card(), club.card()
    club.buy(host, 120_000)
    with club.database.write_tx() as session:
        groups.approve(session, guest, host, reason="Семья", actor=TILL, now=club.now)
    with club.database.write_tx() as session:
        groups.leave(session, guest, 0, actor=TILL, now=club.now)
    assert (club.tier(host), club.tier(guest)) == ("silver", "silver")
    assert club.changes()[-1] == (None, "silver", TierCause.LEAVE)
    with club.database.read_tx() as session:
        rows = session.execute(text("SELECT account_id, amount FROM turnover")).all()
        assert [tuple(row) for row in rows] == [(host.account_id, 120_000)]


def test_passes_are_told_and_events_emitted(club: Club, database_url: str, now: datetime) -> None:
    """A tier that changes is on the pass and known to whoever listens, once."""
    told: list[events.TierChanged] = []
    handlers: events.Handlers = {events.TierChanged: (lambda _, event: told.append(event),)}
    club.publish(book(*LEVELS))
    card = club.card()
    club.touched()
    listening = Database(database_url, carried=events.carried(handlers))
    with listening.write_tx() as session:
        bought(session, club, card, 100_000)
    assert club.touched() == [card.account_id]
    with listening.write_tx() as session:
        bought(session, club, card, 1)
    assert club.touched() == [card.account_id], "less is missing to the next tier"
    with listening.write_tx() as session:
        assert service.reconsider(
            session, card.account_id, club.shop.programme, now, TierCause.PURCHASE
        ) is None  # fmt: skip
    assert club.touched() == []
    listening.close()
    assert told == [
        events.TierChanged(
            at=now,
            account_id=card.account_id,
            programme_id=club.shop.programme.id,
            before="bronze",
            after="silver",
            cause="purchase",
        )
    ]


def test_a_version_that_is_not_the_rules_any_more_is_not_believed(club: Club) -> None:
    """A till that read the rules a moment ago moves nobody by them."""
    former = club.publish(book(*LEVELS))
    club.publish(book(("bronze", 0), ("gold", 1_000)))
    card = club.card()
    with club.database.write_tx() as session:
        service.add_turnover(session, card.account_id, club.shop.organisation.id, club.day(), 1_000)
        change = service.reconsider(
            session, card.account_id, club.shop.programme, club.now, TierCause.PURCHASE,
            version=former,
        )  # fmt: skip
        assert change is not None
        assert change.to_tier == "gold"


def test_what_the_caller_saw_is_not_looked_up_again(club: Club) -> None:
    """Unless other rules were published when it looked than those that it goes by."""
    former = club.publish(book(*LEVELS))
    card = club.card()

    def moved(seen: service.Seen) -> tuple[str | None, int]:
        with club.database.write_tx() as session:
            service.reconsider(
                session, card.account_id, club.shop.programme, club.now, TierCause.PURCHASE,
                version=former, seen=seen,
            )  # fmt: skip
            stored = session.get_one(AccountTier, card.account_id, populate_existing=True)
            return stored.tier, stored.base

    assert moved(service.Seen(None, 100_000, former.public_id)) == ("silver", 100_000)
    with club.database.write_tx() as session:
        service.add_turnover(session, card.account_id, club.shop.organisation.id, club.day(), 700)
    newer = club.publish(book(("bronze", 0), ("gold", 500)))
    assert moved(service.Seen(None, 1, newer.public_id)) == ("gold", 700)


@pytest.mark.parametrize("count", [1, 3])
def test_one_purchase_costs_few_statements(club: Club, count: int) -> None:
    """Counting and reconsidering: two to count and look, two to write what changed."""
    version = club.publish(book(*LEVELS))
    card = club.card()
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    with club.database.write_tx() as session:
        event.listen(club.database.engine, "before_cursor_execute", note)
        for _ in range(count):
            service.add_turnover(
                session, card.account_id, club.shop.organisation.id, club.day(), 10
            )
            service.reconsider(
                session, card.account_id, club.shop.programme, club.now, TierCause.PURCHASE,
                version=version, touched=True,
            )  # fmt: skip
        event.remove(club.database.engine, "before_cursor_execute", note)
    assert len(statements) == 3 * count
