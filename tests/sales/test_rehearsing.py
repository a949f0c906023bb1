"""Other rules tried on the past."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import pytest
from sqlmodel import delete

from tests.sales.rehearsals import TEA, begun, draft, ended, run, runner, tried
from tests.sales.shop import BOOK, TILL, Café
from walletsvc.cards.groups import service as groups
from walletsvc.cards.models import Card
from walletsvc.core.errors import Conflict, InputError
from walletsvc.jobs.bulk import BulkJob
from walletsvc.merchants.service import create_branch
from walletsvc.passes.code_policies import switch
from walletsvc.programmes.models import CodePolicy
from walletsvc.programmes.service import create_stamps_programme
from walletsvc.sales.rehearsing import service

ONLY_TEA: dict[str, Any] = {"earn": {"percent": "0"}, "promotions": [TEA]}
FLAT: dict[str, Any] = {"earn": {"percent": "5"}, "spend": {"max_share_percent": "50"}}


def sold(café: Café) -> list[Card]:
    """Three cards, one of which reaches gold; one purchase came back."""
    one, two, three = café.card(200), café.card(200), café.card()
    gift = café.certificate(50_000)
    café.buy(one, 90_000, points=100, certificates=[(gift, 10_000)])
    café.buy(one, 40_000)
    café.buy(one, 10_000, points=20)
    café.buy(two, [{"item": "tea", "quantity": "3", "price": 3_333}])
    café.refund(café.buy(three, 10_000))
    return [one, two, three]


def test_the_present_rules_change_nothing(café: Café) -> None:
    """What was recorded is what a rehearsal of the same rules finds, rule by rule."""
    sold(café)
    found = tried(café, BOOK)
    totals = found["totals"]
    assert (totals["purchases"], totals["cards"]) == (4, 2)
    assert not totals.keys() & {"winners", "losers"}
    for name in ("earned", "discount", "spent", "worth", "stamps"):
        assert totals[f"{name}_before"] == totals[f"{name}_after"]
    assert totals["earned_before"] > 0
    assert totals["spent_before"] == 120
    assert found["rules"]
    assert all(before == after for before, after in found["rules"].values())


def test_other_rules_have_winners_and_losers(café: Café) -> None:
    """Tea becomes cheaper, everything else earns nothing: by card, by branch, by rule."""
    one, two, _ = sold(café)
    found = tried(café, ONLY_TEA)
    totals = found["totals"]
    assert (totals["winners"], totals["losers"]) == (1, 1)
    assert (totals["earned_after"], totals["discount_after"]) == (0, 5_000)
    # A point is worth a rouble: 100 kopecks; without paying with points nothing is spent.
    assert totals["worth_before"] == totals["earned_before"] * 100
    assert totals["worth_after"] == 5_000
    assert (totals["spent_before"], totals["spent_after"]) == (120, 0)
    earned = [
        sum(n for (n,) in café.all("SELECT earned FROM purchases WHERE card_id = :id", id=card.id))
        for card in (one, two)
    ]
    assert found["winners"] == [[5_000 - earned[1] * 100, two.public_id, 1]]
    assert found["losers"] == [[-earned[0] * 100, one.public_id, 3]]
    assert totals["won"] - totals["lost"] == totals["worth_after"] - totals["worth_before"]
    assert set(found["branches"]) == {café.branch.public_id}
    assert found["branches"][café.branch.public_id]["earned_before"] == totals["earned_before"]
    assert found["rules"]["money:promotion:tea"] == ["0", "5000"]
    assert found["names"] == {"tea": {"ru": "Чай", "en": "Tea"}}
    points = [both[0] for key, both in found["rules"].items() if key.startswith("points:")]
    assert sum(Fraction(each) for each in points) == totals["earned_before"]


def test_who_was_not_there_would_have_no_discount_either(café: Café) -> None:
    """A purchase by the number alone, in a programme with codes of the moment."""
    with café.database.write_tx() as session:
        switch(session, café.programme, CodePolicy.TIME_BASED, actor=TILL, now=café.now)
        # What the switch would change on phones is no matter of this test.
        session.execute(delete(BulkJob))
    café.publish(ONLY_TEA, café.now - timedelta(days=1))
    café.buy(café.card(), [{"item": "tea", "quantity": "3", "price": 3_333}])
    totals = tried(café, ONLY_TEA)["totals"]
    assert (totals["purchases"], totals["cards"]) == (1, 1)
    assert not any(totals.get(f"discount_{when}") for when in ("before", "after"))


def test_it_writes_nothing_but_itself(café: Café) -> None:
    """Every table is as it was, to the last column, but the rehearsals and their jobs."""
    sold(café)
    draft(café, ONLY_TEA)
    before = contents(café)
    begun(café)
    run(café, limit=1)
    after = contents(café)
    assert {name for name in after if after[name] != before[name]} == {"rehearsals", "bulk_jobs"}
    assert {"ledger_entries", "lots", "accounts", "cards", "purchases", "turnover"} <= set(before)
    assert café.clean()


def contents(café: Café) -> dict[str, Any]:
    """A digest of every table."""
    names = [name for (name,) in café.all(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    )]  # fmt: skip
    return {
        name: café.all(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM \"{name}\" t")
        for name in names
    }


@pytest.mark.parametrize("limit", [1, 2])
def test_pieces_of_any_size_end_with_the_same_numbers(café: Café, limit: int) -> None:
    """Also when an account has more purchases than a piece takes."""
    sold(café)
    whole = tried(café, FLAT)
    draft(café, FLAT)
    rehearsal = begun(café)
    assert run(café, limit) > 1
    assert ended(café, rehearsal).figures == whole


def test_killed_half_way_it_goes_on_where_it_was(café: Café) -> None:
    """A worker dies after each piece's work, before its commit; nothing counts twice."""
    sold(café)
    whole = tried(café, FLAT)
    rehearsal = begun(café)

    class Killed(BaseException):
        """What no handler catches."""

    deaths: set[int] = set()
    place: list[int] = [0]

    def die(_job: object) -> None:
        place[0] += 1
        if place[0] % 2:
            deaths.add(place[0])
            raise Killed

    waits = 0.0
    while waits == 0:
        try:
            waits = runner(café, 1, die).run_once()  # each time another worker
        except Killed:
            continue
    assert len(deaths) > 2
    assert ended(café, rehearsal).figures == whole


def test_two_at_once_do_not_disturb_each_other(café: Café) -> None:
    """Other rules, other periods, their pieces in turn."""
    sold(café)
    alone = tried(café, FLAT), tried(café, ONLY_TEA)
    draft(café, FLAT)
    first = begun(café)
    draft(café, ONLY_TEA)
    second = begun(café)
    empty = begun(café, last=café.now.date() - timedelta(days=1))
    run(café, limit=1)
    assert (ended(café, first).figures, ended(café, second).figures) == alone
    assert ended(café, empty).figures["totals"].get("purchases", 0) == 0


def test_the_tier_follows_what_the_tried_rules_count(café: Café) -> None:
    """What was bought before the period makes the tier; a rolling window forgets it."""
    card = café.card()
    long_ago = café.now - timedelta(days=60)
    café.publish(BOOK, café.now - timedelta(days=7))
    café.buy(card, 150_000, at=long_ago)
    café.buy(card, 10_000)
    today = café.now.date()
    tiered = BOOK | {"earn": {"percent_by_tier": {"bronze": "1", "gold": "10"}}}
    assert tried(café, tiered, first=today)["totals"]["earned_after"] == 10
    window = tiered | {"tier_base": {"window_days": 30}}
    assert tried(café, window, first=today)["totals"]["earned_after"] == 1


def test_a_family_counts_together(café: Café) -> None:
    """Cards that share an account have one tier; each gains for itself."""
    one, two = café.card(), café.card()
    with café.database.write_tx() as session:
        groups.approve(session, two, one, reason="family", actor=TILL, now=café.now)
    café.buy(one, 120_000)
    café.buy(two, 10_000)
    low = BOOK | {"earn": {"percent_by_tier": {"bronze": "1", "gold": "20"}}}
    found = tried(café, low, limit=1)
    assert found["totals"]["earned_after"] == 12 + 20
    assert [card for _, card, _ in found["winners"]] == [two.public_id]


def test_of_a_sale_that_came_back_in_part_the_rest_counts(café: Café) -> None:
    """Three cups of which one came back, a kilogram and a half of which one came back."""
    café.publish({**BOOK, "earn": {"percent": "10"}})
    card = café.card()
    cups = café.buy(card, [{"item": "cup", "price": 10_000, "quantity": "3"}])
    café.refund(cups, lines=[{"item": "cup", "quantity": "1"}])
    assert café.available(card) == 20
    same = tried(café, {**BOOK, "earn": {"percent": "10"}})["totals"]
    assert (same["earned_before"], same["earned_after"]) == (20, 20)
    assert (same["worth_before"], same["worth_after"]) == (2_000, 2_000)
    half = {
        "id": "half",
        "name": {"ru": "Половина", "en": "Half"},
        "effect": {"kind": "discount", "percent": "50"},
    }
    found = tried(café, {**BOOK, "earn": {"percent": "10"}, "promotions": [half]})
    assert (found["totals"]["earned_after"], found["totals"]["discount_after"]) == (10, 10_000)
    assert found["rules"]["money:promotion:half"] == ["0", "10000"]
    assert found["rules"]["points:base:"] == ["20", "10"]
    tiered = BOOK | {"earn": {"percent_by_tier": {"bronze": "0", "gold": "10"}}}
    café.refund(café.buy(card, 60_000), sum=40_000)
    for total in (50_000, 10_000):  # gold were it not for what came back
        café.buy(card, total)
    assert tried(café, tiered)["totals"]["earned_after"] == 0


def test_a_card_that_moves_meanwhile_is_never_counted_twice(café: Café) -> None:
    """It joins the account whose turn is yet to come; and it leaves one whose turn is over."""
    one, two, three = café.card(), café.card(), café.card()
    for card in (one, two, three):
        café.buy(card, 10_000)
    draft(café, {**BOOK, "earn": {"percent": "10"}})
    rehearsal = begun(café)
    works = runner(café, 1)
    assert works.run_once() == 0
    later = café.now + timedelta(seconds=1)
    with café.database.write_tx() as session:
        moved, into = (session.get_one(Card, each.id) for each in (one, three))
        groups.approve(session, moved, into, reason="family", actor=TILL, now=later)
    while works.run_once() == 0:
        pass
    totals = ended(café, rehearsal).figures["totals"]
    assert (totals["purchases"], totals["cards"]) == (3, 3)
    rehearsal = begun(café)
    assert works.run_once() == 0  # that of `two`
    with café.database.write_tx() as session:
        moved = session.get_one(Card, one.id)
        groups.leave(session, moved, take=0, actor=TILL, now=café.now + timedelta(seconds=2))
    while works.run_once() == 0:
        pass
    totals = ended(café, rehearsal).figures["totals"]
    assert (totals["purchases"], totals["cards"]) == (2, 2)  # left out: it had not had its turn


def test_stamps_are_counted_as_stamps(café: Café) -> None:
    """What a stamps programme does not give, points, is left out on both sides."""
    with café.database.write_tx() as session:
        stamps = create_stamps_programme(
            session, organisation_id=café.cafe.id, slug="cups", name="Чашки", now=café.now
        )
    bar = replace(café, programme=stamps)

    def cups(count: int) -> dict[str, Any]:
        effect = {"kind": "stamps", "count": count, "per": "bill"}
        name = {"ru": "Чашка", "en": "Cup"}
        return {
            "earn": {"percent": "0"},
            "promotions": [{"id": "cup", "name": name, "effect": effect}],
        }

    bar.publish(cups(1), café.now - timedelta(days=7))
    card = bar.card()
    bar.buy(card, 10_000)
    found = tried(bar, cups(3))
    totals = found["totals"]
    assert (totals["stamps_before"], totals["stamps_after"], totals["won"]) == (1, 3, 2)
    assert (totals["earned_before"], totals["earned_after"], totals["worth_after"]) == (0, 0, 0)
    assert found["rules"] == {"stamps:promotion:cup": ["1", "3"]}
    assert café.clean()


def test_only_purchases_of_chosen_branches_count(café: Café) -> None:
    """Those elsewhere still make the tier."""
    with café.database.write_tx() as session:
        other = create_branch(session, organisation_id=café.cafe.id, name="Лиговка", now=café.now)
    card = café.card()
    café.buy(card, 120_000)
    café.buy(card, 10_000, by=café.caller(café.cafe, other))
    found = tried(café, BOOK, branches=(other.public_id,))
    assert found["totals"]["purchases"] == found["totals"]["cards"] == 1
    assert found["totals"]["earned_after"] == 10
    assert set(found["branches"]) == {other.public_id}


def test_a_changed_draft_makes_it_of_an_older_one(café: Café) -> None:
    """Also half-way: it goes on with the draft that it began with; publishing changes nothing."""
    sold(café)
    whole = tried(café, FLAT)
    rehearsal = begun(café)
    runner(café, 1).run_once()
    with café.database.read_tx() as session:
        assert service.version_of(session, rehearsal) == (2, False)
    draft(café, ONLY_TEA)
    run(café, limit=1)
    assert ended(café, rehearsal).figures == whole
    with café.database.read_tx() as session:
        assert service.version_of(session, rehearsal) == (2, True)
    café.publish(FLAT)
    with café.database.read_tx() as session:
        assert service.version_of(session, rehearsal) == (2, False)


def test_what_cannot_be_rehearsed_is_refused(café: Café) -> None:
    """No draft, days that make no period, branches of others."""
    with pytest.raises(Conflict, match="has no draft"):
        begun(café)
    draft(café, FLAT)
    today = café.now.date()
    tomorrow = today + timedelta(days=1)
    wrongs: list[tuple[str, dict[str, Any]]] = [
        ("from", {"first": tomorrow, "last": tomorrow}),
        ("from", {"first": date(1999, 1, 1)}),
        ("until", {"last": tomorrow}),
        ("until", {"first": today, "last": today - timedelta(days=1)}),
        ("branches.0", {"branches": ("nowhere",)}),
    ]
    for field, options in wrongs:
        with pytest.raises(InputError) as raised:
            begun(café, **options)
        assert raised.value.fields[0].field == field
    assert café.all("SELECT count(*) FROM bulk_jobs") == [(0,)]
