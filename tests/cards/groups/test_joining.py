"""Cards that share a balance: joining, and what is known of a group."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlmodel import select

from tests.cards.groups.members import Family, refusal
from tests.factories import TILL, make_member, make_shop
from walletsvc.cards import bulk_credit
from walletsvc.cards.groups import rules
from walletsvc.cards.groups.models import GroupInvitation, GroupMember, JoinProof
from walletsvc.core.errors import Conflict, InputError, Refused
from walletsvc.jobs.bulk import BulkState
from walletsvc.jobs.bulk import service as bulk
from walletsvc.jobs.bulk.runner import Runner
from walletsvc.ledger import queries
from walletsvc.ledger import service as ledger


def test_a_card_joins_with_a_code_and_shares_everything(family: Family) -> None:
    """One account from now on; the group is made with the host's and knows how it began."""
    family.credit(0, 100)
    family.credit(1, 30)
    host_account = family.read(0).account_id
    code = family.invite(0)
    assert family.read(0).group_id is None
    family.forget_changes()
    joined = family.join(1, code.lower().replace("-", " "))
    assert (joined.founded, joined.balance, joined.member.brought) == (True, 130, 30)
    assert family.balances()[:2] == [130, 130]
    host, card = family.read(0), family.read(1)
    assert host.account_id == card.account_id == host_account
    assert host.group_id == card.group_id == joined.group.id
    assert family.touched("card") >= {card.id}
    assert host_account in family.touched("account")
    family.debit(1, 120)
    family.credit(0, 5)
    assert family.balances()[:2] == [15, 15]
    members = family.view().members
    assert [(m.proof, m.brought) for m in members] == [
        (JoinProof.FOUNDER, 100), (JoinProof.INVITATION, 30),
    ]  # fmt: skip


def test_an_empty_card_joins_without_a_transaction(family: Family) -> None:
    """And the phone of the one that joined still shows the shared balance."""
    family.credit(0, 100)
    family.forget_changes()
    joined = family.join(1, family.invite(0))
    assert joined.transaction is None
    assert family.read(1).id in family.touched("card")
    assert family.balances()[:2] == [100, 100]


def test_the_merger_names_the_card_and_the_reason(family: Family) -> None:
    """The history of the shared account explains where the points came from."""
    family.credit(1, 30)
    joined = family.approve(1, 0, "Мама и сын, один телефон")
    assert joined.transaction is not None
    with family.database.read_tx() as session:
        row = queries.history(session, family.read(0).account_id, limit=1)[0]
    assert (row.card_public_id, row.reason, row.amount) == (
        family.read(1).public_id, "Мама и сын, один телефон", 30,
    )  # fmt: skip
    assert family.view().members[1].reason == "Мама и сын, один телефон"


def test_staff_have_to_say_why(family: Family) -> None:
    """No proof, no reason: no joining."""
    before = family.rows()
    with pytest.raises(InputError) as caught:
        family.approve(1, 0, "  ")
    assert caught.value.fields[0].field == "reason"
    assert family.rows() == before


def test_a_code_is_stored_as_a_hash_only(family: Family) -> None:
    """Neither in its written form nor in any other."""
    code = family.invite(0)
    stored = str(family.rows("group_invitations"))
    assert code not in stored
    assert code.replace("-", "") not in stored


def test_a_code_lets_one_card_in(family: Family) -> None:
    """The next one hears what everybody hears who guesses."""
    code = family.invite(0)
    family.join(1, code)
    assert [refusal(family, 2, code), refusal(family, 3, rules.new_code())] == [
        "code: is the code of no open invitation."
    ] * 2


def test_a_code_ends_after_a_day(family: Family) -> None:
    """At its end it is over."""
    code = family.invite(0)
    family.now += timedelta(hours=24)
    assert "no open invitation" in refusal(family, 1, code)
    family.now -= timedelta(seconds=1)
    family.join(1, code)


def test_a_mistyped_code_is_noticed_without_a_look_at_the_database(family: Family) -> None:
    """The check character; the code is never repeated."""
    code = family.invite(0)
    wrong = code[:-1] + ("2" if code[-1] != "2" else "3")
    detail = refusal(family, 1, wrong)
    assert "check each character" in detail
    assert wrong not in detail


def test_a_card_has_five_open_invitations(family: Family) -> None:
    """Used and ended ones do not count."""
    codes = [family.invite(0) for _ in range(5)]
    with pytest.raises(Refused) as caught:
        family.invite(0)
    assert caught.value.data == {"open": 5}
    family.join(1, codes[0])
    family.invite(0)
    family.now += timedelta(hours=24)
    family.invite(0)


def test_a_code_of_another_organisation_does_not_exist(family: Family, now: datetime) -> None:
    """Not even as a code."""
    with family.database.write_tx() as session:
        other = make_shop(session, now, "other")
        family.ids.append(make_member(session, other, now)[0].id)
    assert "no open invitation" in refusal(family, 1, family.invite(4))


def test_a_card_in_a_group_cannot_join_another(family: Family) -> None:
    """It has to leave first; nor can it join its own group again, or itself."""
    family.approve(1, 0)
    before = family.rows()
    for index, member in ((1, 2), (0, 1), (1, 0)):
        with pytest.raises(Conflict, match="leave"):
            family.approve(index, member)
    with pytest.raises(Refused, match="itself"):
        family.approve(2, 2)
    assert family.rows() == before
    family.leave(1)
    family.approve(1, 2)
    assert family.read(1).account_id == family.read(2).account_id


def test_closed_cards_neither_invite_nor_join_nor_leave(family: Family) -> None:
    """Whichever of the two is closed."""
    family.approve(3, 2)
    code = family.invite(0)
    with family.database.write_tx() as session:
        for index in (0, 2):
            family.card(session, index).closed_at = family.now
    before = family.rows()
    for refused in (
        lambda: family.invite(0),
        lambda: family.join(1, code),
        lambda: family.approve(0, 1),
        lambda: family.approve(1, 0),
        lambda: family.leave(2),
    ):
        with pytest.raises(Refused, match="closed"):
            refused()
    assert family.rows() == before


def test_cards_of_different_programmes_do_not_mix(family: Family, now: datetime) -> None:
    """Their points are worth different things."""
    with family.database.write_tx() as session:
        other = make_shop(session, now, "other")
        card = make_member(session, other, now)[0]
        session.execute(
            text("UPDATE programmes SET organisation_id = :mine WHERE slug = 'other'"),
            {"mine": family.shop.organisation.id},
        )
        family.ids.append(card.id)
    before = family.rows()
    with pytest.raises(Refused, match="one programme"):
        family.approve(4, 0)
    assert family.rows() == before


def test_who_spent_and_earned_what(family: Family) -> None:
    """Since joining, per card, less what was undone; what nobody's card did counts for nobody."""
    old = family.credit(1, 50)
    bought_before = family.debit(1, 20)
    family.credit(0, 100)
    family.now += timedelta(minutes=1)
    family.approve(1, 0)
    family.credit(0, 40)
    mine = family.credit(1, 8)
    promised = family.credit(1, 5, available_from=family.now + timedelta(days=1))
    bought = family.debit(1, 30)
    family.now += timedelta(minutes=1)
    family.reverse(bought, 12)
    family.reverse(mine, 3)
    family.reverse(bought_before)
    family.reverse(old, 10)
    family.now += timedelta(days=1)
    family.debit(0, 1)
    family.reverse(promised, 2)
    with family.database.write_tx() as session:
        ledger.credit(
            session, family.card(session, 0).account_id, 9, source="x", actor=TILL, reason="",
            now=family.now,
        )  # fmt: skip
    view = family.view()
    assert [(m.brought, m.earned, m.spent) for m in view.members] == [(100, 40, 1), (30, 8, 18)]
    assert view.balance == family.balances()[0]


def test_a_change_found_under_a_shared_phone_is_recorded_on_all_the_cards_concerned(
    family: Family,
) -> None:
    """Requirement 16: parents and children with one number; whoever's card it was found by."""
    for index in (1, 2):
        family.approve(index, 0)
    family.forget_changes()
    for index, amount in ((2, 70), (0, -20)):
        done = family.credit(index, amount) if amount > 0 else family.debit(index, -amount)
        for other in (0, 1, 2):
            with family.database.read_tx() as session:
                row = queries.history(session, family.read(other).account_id, limit=1)[0]
            assert (row.public_id, row.amount, row.card_public_id) == (
                done.public_id, amount, family.read(index).public_id,
            )  # fmt: skip
    assert family.balances() == [50, 50, 50, 0]


def test_a_bulk_credit_gives_a_group_its_points_once(family: Family) -> None:
    """A group is one holder; a listed card that joins meanwhile still gets what it was promised."""
    family.approve(1, 0)
    with family.database.write_tx() as session:
        everybody = bulk_credit.begin(
            session, programme=family.shop.programme, amount=10, reason="Праздник", actor=TILL,
            now=family.now,
        )  # fmt: skip
        numbers = [family.card(session, index).number for index in (0, 1, 2, 3)]
        listed = bulk_credit.begin(
            session, programme=family.shop.programme, amount=100, reason="Праздник", actor=TILL,
            now=family.now, numbers=numbers,
        )  # fmt: skip
    assert (everybody.total, listed.total) == (3, 3)
    family.approve(3, 2)
    runner = Runner(family.database, bulk_credit.handlers(), clock=lambda: family.now)
    while runner.run_once() == 0:
        pass
    with family.database.read_tx() as session:
        for job, credited in ((everybody, 2), (listed, 3)):
            found = bulk.find(session, job.public_id)
            assert (found.state, found.result["credited"]) == (BulkState.DONE, credited)
    assert family.balances() == [110, 110, 210, 210]


def test_stored_rows_agree(family: Family) -> None:
    """A card's group and its account are told in one way only."""
    family.approve(1, 0)
    family.approve(2, 1)
    family.leave(0)
    with family.database.read_tx() as session:
        odd = session.execute(
            text("SELECT c.id FROM cards c LEFT JOIN card_groups g ON g.id = c.group_id"
                 " LEFT JOIN group_members m ON m.card_id = c.id AND m.left_at IS NULL"
                 " WHERE c.group_id IS DISTINCT FROM m.group_id OR g.account_id <> c.account_id"
                 " OR g.closed_at IS NOT NULL")
        ).all()  # fmt: skip
        assert odd == []
        assert len(session.exec(select(GroupMember)).all()) == 3
        assert session.exec(select(GroupInvitation)).all() == []
