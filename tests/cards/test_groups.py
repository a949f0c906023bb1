"""Cards that share an account: proofs, merged and parted points, who did what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlmodel import Session, col, select

from tests.factories import TILL, Shop, make_member, make_shop
from walletsvc.cards import bulk_credit
from walletsvc.cards.groups import rules, service
from walletsvc.cards.groups.models import CardGroup, GroupInvitation, GroupMember, JoinProof
from walletsvc.cards.groups.queries import GroupView, ToCome, group_view
from walletsvc.cards.groups.service import Joined, Left
from walletsvc.cards.models import Card
from walletsvc.core.errors import Conflict, InputError, InsufficientFunds, Refused
from walletsvc.jobs.bulk import BulkState
from walletsvc.jobs.bulk import service as bulk
from walletsvc.jobs.bulk.runner import Runner
from walletsvc.ledger import queries
from walletsvc.ledger import service as ledger
from walletsvc.ledger.models import Hold, Transaction
from walletsvc.ledger.verify import differences
from walletsvc.storage.engine import Database


@dataclass
class Family:
    """Four cards of one shop, and short verbs; each opens a transaction of its own."""

    database: Database
    shop: Shop
    ids: list[int]
    now: datetime

    def card(self, session: Session, index: int) -> Card:
        return session.get_one(Card, self.ids[index], populate_existing=True)

    def read(self, index: int) -> Card:
        with self.database.read_tx() as session:
            return self.card(session, index)

    def balances(self) -> list[int]:
        with self.database.read_tx() as session:
            assert list(differences(session)) == []
            return [
                queries.balance(session, self.card(session, index).account_id)
                for index in range(len(self.ids))
            ]

    def credit(self, index: int, amount: int, **more: object) -> Transaction:
        with self.database.write_tx() as session:
            card = self.card(session, index)
            given = {"source": "purchase", "actor": TILL, "reason": "", "now": self.now, **more}
            return ledger.credit(
                session,
                card.account_id,
                amount,
                card_id=card.id,
                **given,  # type: ignore[arg-type]
            )

    def debit(self, index: int, amount: int) -> Transaction:
        with self.database.write_tx() as session:
            card = self.card(session, index)
            return ledger.debit(
                session, card.account_id, amount, card_id=card.id, actor=TILL, reason="",
                now=self.now,
            )  # fmt: skip

    def reverse(self, transaction: Transaction, amount: int | None = None) -> None:
        with self.database.write_tx() as session:
            ledger.reverse(
                session, transaction.id, amount=amount, actor=TILL, reason="", now=self.now
            )

    def invite(self, index: int) -> str:
        with self.database.write_tx() as session:
            return service.invite(session, self.card(session, index), actor=TILL, now=self.now)[1]

    def join(self, index: int, code: str) -> Joined:
        with self.database.write_tx() as session:
            return service.join(session, self.card(session, index), code, actor=TILL, now=self.now)

    def approve(self, index: int, member: int, reason: str = "Дети") -> Joined:
        with self.database.write_tx() as session:
            return service.approve(
                session, self.card(session, index), self.card(session, member), reason=reason,
                actor=TILL, now=self.now,
            )  # fmt: skip

    def leave(self, index: int, take: int = 0) -> Left:
        with self.database.write_tx() as session:
            return service.leave(session, self.card(session, index), take, actor=TILL, now=self.now)

    def view(self) -> GroupView:
        with self.database.read_tx() as session:
            group = session.exec(select(CardGroup).order_by(col(CardGroup.id).desc())).first()
            assert group is not None
            return group_view(session, group)

    def rows(self, *tables: str) -> list[list[tuple[object, ...]]]:
        with self.database.read_tx() as session:
            return [
                [tuple(row) for row in session.execute(text(f"SELECT * FROM {table} ORDER BY 1"))]
                for table in tables or ("cards", "card_groups", "group_members", "accounts",
                                        "group_invitations", "ledger_entries", "lots")
            ]  # fmt: skip

    def touched(self, topic: str) -> set[int]:
        with self.database.read_tx() as session:
            rows = session.execute(
                text("SELECT key FROM changes WHERE topic = :topic"), {"topic": topic}
            )
            return set(rows.scalars())

    def forget_changes(self) -> None:
        with self.database.write_tx() as session:
            session.execute(text("DELETE FROM changes"))


@pytest.fixture
def family(database: Database, now: datetime) -> Family:
    with database.write_tx() as session:
        shop = make_shop(session, now)
        ids = [
            make_member(session, shop, now, name=name)[0].id
            for name in ("Анна", "Борис", "Вера", "Глеб")
        ]
    return Family(database, shop, ids, now)


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


def refusal(family: Family, index: int, code: str) -> str:
    """Why a code lets nobody in; nothing is written."""
    before = family.rows()
    with pytest.raises(InputError) as caught:
        family.join(index, code)
    assert family.rows() == before
    assert caught.value.fields[0].field == "code"
    return caught.value.detail


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


def test_leaving_with_a_part(family: Family) -> None:
    """The part keeps its dates; the group goes on without the card."""
    ends = family.now + timedelta(days=9)
    family.credit(0, 100, expires_at=ends)
    family.approve(1, 0)
    family.approve(2, 0)
    family.forget_changes()
    left = family.leave(0, 60)
    assert (left.balance, left.group.closed_at) == (60, None)
    assert family.balances()[:3] == [60, 40, 40]
    assert family.read(0).group_id is None
    with family.database.read_tx() as session:
        lots = queries.explain(session, family.read(0).account_id).lots
    assert [(lot.remaining, lot.expires_at) for lot in lots] == [(60, ends)]
    assert family.touched("card") >= {family.ids[0]}
    assert family.touched("account") >= {family.read(0).account_id, family.read(1).account_id}
    member = family.view().members[0]
    assert (member.left_at, member.left_with) == (family.now, 60)


def test_leaving_names_what_stays(family: Family) -> None:
    """All that comes later, whoever earned it, also what came with a card; not what is due."""
    soon, late = family.now + timedelta(days=3), family.now + timedelta(days=9)
    family.credit(1, 20, available_from=late, expires_at=late + timedelta(days=1))
    family.approve(1, 0)
    family.approve(2, 0)
    family.credit(0, 30, available_from=soon)
    with family.database.read_tx() as session:
        ids = [family.card(session, index).public_id for index in range(2)]
    expected = [
        ToCome(30, soon, None, ids[0]),
        ToCome(20, late, late + timedelta(days=1), ids[1]),
    ]
    assert family.leave(1, 0).stays == expected
    family.now = soon
    assert family.leave(2, 0).stays == expected[1:]


def test_leaving_with_more_than_there_is_is_refused(family: Family) -> None:
    """Nor with a debt, nor with less than nothing."""
    family.credit(0, 100)
    family.approve(1, 0)
    before = family.rows()
    with pytest.raises(InsufficientFunds) as caught:
        family.leave(1, 101)
    assert caught.value.data == {"available": 100}
    with pytest.raises(InputError) as wrong:
        family.leave(1, -1)
    assert wrong.value.fields[0].field == "take"
    with pytest.raises(Conflict, match="no group"):
        family.leave(2)
    assert family.rows() == before


def test_the_last_one_keeps_the_account(family: Family) -> None:
    """The group ends by itself, and its account may found another group later."""
    family.credit(0, 100)
    family.approve(1, 0)
    left = family.leave(0, 30)
    assert left.group.closed_at == family.now
    assert family.read(1).group_id is None
    assert family.balances()[:2] == [30, 70]
    assert [member.left_with for member in family.view().members] == [30, 70]
    family.approve(2, 1)
    assert family.balances()[:3] == [30, 70, 70]
    family.approve(0, 2)
    assert family.balances()[:3] == [100, 100, 100]
    assert {len(family.rows("card_groups")[0]), len(family.rows("group_members")[0])} == {2, 5}


def test_who_leaves_takes_its_codes_back(family: Family) -> None:
    """A code given out for one group must not open another."""
    family.approve(1, 0)
    family.approve(2, 0)
    code = family.invite(1)
    family.leave(1)
    assert "no open invitation" in refusal(family, 3, code)


def test_reserved_value_keeps_the_card_in(family: Family) -> None:
    """What the card has reserved of the shared balance would be paid by the others."""
    family.credit(0, 100)
    family.approve(1, 0)
    family.approve(2, 0)
    hold(family, 1)
    with pytest.raises(Conflict, match="reserved"):
        family.leave(1)
    with pytest.raises(Conflict, match="reserved"):
        family.approve(3, 0)
    family.leave(2, 90)
    with pytest.raises(InsufficientFunds):
        family.now += timedelta(hours=1)  # the hold is over
        family.leave(1, 11)
    family.leave(1, 10)
    assert family.balances()[:3] == [0, 10, 90]


def hold(family: Family, index: int) -> None:
    """Ten points reserved for an hour, as an active hold would."""
    with family.database.write_tx() as session:
        card = family.card(session, index)
        session.add(
            Hold(
                account_id=card.account_id, card_id=card.id, amount=10, actor="x",
                acceptor_id=family.shop.organisation.id, created_at=family.now,
                expires_at=family.now + timedelta(hours=1),
            )
        )  # fmt: skip
        session.flush()
        session.execute(
            text("INSERT INTO hold_lots SELECT h.id, l.id, 10 FROM holds h"
                 " JOIN lots l ON l.account_id = h.account_id")
        )  # fmt: skip
        session.execute(text("UPDATE lots SET held = 10"))
        session.execute(
            text("UPDATE accounts SET held = 10 WHERE id = :id"), {"id": card.account_id}
        )


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


def test_leaving_and_coming_back_are_two_times(family: Family) -> None:
    """Each with its own sums."""
    family.approve(1, 0)
    family.approve(2, 0)
    family.credit(1, 10)
    family.now += timedelta(minutes=1)
    family.leave(1, 4)
    family.now += timedelta(minutes=1)
    family.approve(1, 2)
    family.debit(1, 7)
    assert [(m.brought, m.earned, m.spent, m.left_with) for m in family.view().members] == [
        (0, 0, 0, None), (0, 10, 0, 4), (0, 0, 0, None), (4, 0, 7, None),
    ]  # fmt: skip


def test_a_refund_after_leaving_goes_to_the_group(family: Family) -> None:
    """What was bought with the group's points is given back to the group."""
    family.credit(0, 100)
    family.approve(1, 0)
    bought = family.debit(1, 30)
    family.leave(1, 20)
    family.reverse(bought)
    assert family.balances()[:2] == [80, 20]


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
