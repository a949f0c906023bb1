"""What verification finds wrong with cards and certificates."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from tests.factories import make_member, make_shop
from walletsvc.app import LEDGER_CHECKS
from walletsvc.cards import checks as card_checks
from walletsvc.certificates import checks as certificate_checks
from walletsvc.certificates.service import issue
from walletsvc.core.actor import SYSTEM
from walletsvc.ledger.models import Account, AccountKind
from walletsvc.ledger.service import credit, open_account
from walletsvc.ledger.verify import differences
from walletsvc.programmes.service import create_gift_programme
from walletsvc.storage.engine import Database

WITHOUT = "ALTER TABLE accounts DROP CONSTRAINT ck_accounts_merged_is_empty;"
GROUP = (
    "INSERT INTO card_groups (public_id, programme_id, account_id, name, created_at)"
    " VALUES ('g', {programme}, {points}, '', now());"
)
MEMBER = (
    "INSERT INTO group_members (group_id, card_id, proof, reason, actor, brought, joined_at)"
    " SELECT id, {card_id}, 'founder', '', '', 0, now() FROM card_groups"
)
DAMAGE = [
    (
        "UPDATE cards SET account_id = {money} WHERE id = {card_id}",
        "Card {card} uses account {money_name}, which is no points account.",
    ),
    (
        "UPDATE cards SET account_id = {foreign} WHERE id = {card_id}",
        "Card {card} uses account {foreign_name}, which is another organisation's.",
    ),
    (
        "UPDATE accounts SET unit_id = {roubles} WHERE id = {points}",
        "Card {card} uses account {points_name}, which counts RUB.",
    ),
    (
        "UPDATE accounts SET merged_into_id = {spare}, closed_at = now() WHERE id = {points}",
        "Card {card} uses account {points_name}, which was merged into another.",
    ),
    (
        (
            "INSERT INTO card_groups (public_id, programme_id, account_id, name, created_at)"
            " VALUES ('g', {programme}, {spare}, '', now());"
            "UPDATE cards SET group_id = (SELECT id FROM card_groups) WHERE id = {card_id}"
        ),
        "Card {card} is in group g, whose account it does not use.",
    ),
    (
        "UPDATE cards SET account_id = {points} WHERE id = {other_card_id}",
        (
            "Card {card} uses account {points_name} of another card, without being in one group"
            " with it."
        ),
    ),
    (
        "UPDATE cards SET account_id = {spare} WHERE id = {other_card_id}",
        (
            "Transaction {credit} of card {other_card} is on account {others_name}, which the card"
            " does not use."
        ),
    ),
    (
        "UPDATE cards SET merged_into_id = {card_id} WHERE id = {other_card_id}",
        "Card {other_card} was merged into card {card}, but is open.",
    ),
    (
        GROUP + "UPDATE cards SET group_id = (SELECT id FROM card_groups) WHERE id = {card_id}",
        "Card {card} is in group g, but by its members it is in no group.",
    ),
    (
        GROUP + MEMBER,
        "Card {card} is in no group, but by its members it is in group g.",
    ),
    (
        (
            GROUP + "UPDATE cards SET group_id = (SELECT id FROM card_groups) WHERE id = {card_id};"
            "UPDATE card_groups SET closed_at = now()"
        ),
        "Card {card} is in group g, which has ended.",
    ),
    (
        (
            GROUP + "UPDATE cards SET group_id = (SELECT id FROM card_groups) WHERE id = {card_id};"
            "UPDATE card_groups SET programme_id = (SELECT max(id) FROM programmes)"
        ),
        "Card {card} is in group g, which is of another programme.",
    ),
    (
        "UPDATE certificates SET face_value = 700 WHERE account_id = {money}",
        "Certificate {certificate} is worth 700, but 500 came first.",
    ),
    (  # two of them exchanged
        (
            "ALTER TABLE certificates DROP CONSTRAINT uq_certificates_account_id;"
            "UPDATE certificates SET account_id = {money} + {second} - account_id"
        ),
        "Certificate {certificate} is worth 500, but 400 came first.",
    ),
    (
        "UPDATE certificates SET issued_at = issued_at - interval '1 d' WHERE account_id = {money}",
        "Certificate {certificate} is worth 500, but that came at another time than it was issued.",
    ),
    (
        "DELETE FROM ledger_entries WHERE account_id = {money}",
        "Certificate {certificate} is worth 500, but nothing ever came.",
    ),
    (
        "UPDATE certificates SET closed_at = now() WHERE account_id = {money}",
        "Certificate {certificate} is closed, but was neither paid out, transferred nor cancelled.",
    ),
    (
        (
            "INSERT INTO certificate_events (certificate_id, kind, actor, reason, at)"
            " SELECT id, 'paid_out', '', '', now() FROM certificates WHERE account_id = {money}"
        ),
        "Certificate {certificate} is open, but was paid out, transferred or cancelled.",
    ),
    (
        "UPDATE certificates SET account_id = {spare} WHERE account_id = {money}",
        "Certificate {certificate} uses account {spare_name}, which is no certificate's.",
    ),
    (
        "UPDATE accounts SET organisation_id = {other} WHERE id = {money}",
        "Certificate {certificate} uses account {money_name}, which is another organisation's.",
    ),
    (
        "UPDATE accounts SET unit_id = {unit} WHERE id = {money}",
        "Certificate {certificate} uses account {money_name}, which counts points:shop.",
    ),
    (
        WITHOUT + "UPDATE accounts SET merged_into_id = {spare} WHERE id = {money}",
        "Certificate {certificate} uses account {money_name}, which was merged into another.",
    ),
]


@pytest.fixture
def names(database: Database, now: datetime) -> dict[str, object]:
    """A card, a certificate, a spare account, and another organisation."""
    with database.write_tx() as session:
        shop, other = make_shop(session, now), make_shop(session, now, "other")
        card, _ = make_member(session, shop, now)
        foreign, _ = make_member(session, other, now, phone="+79000001111")
        gifts = create_gift_programme(
            session, organisation_id=shop.organisation.id, slug="gift", name="Дар", now=now
        )
        why: dict[str, Any] = {"actor": SYSTEM, "reason": "", "now": now}
        certificate, _ = issue(session, programme=gifts, face_value=500, **why)
        second, _ = issue(session, programme=gifts, face_value=400, **why)
        other_card, _ = make_member(session, shop, now, phone="+79000002222")
        account, card_id = other_card.account_id, other_card.id
        given = credit(session, account, 10, source="test", card_id=card_id, **why)
        spare = open_account(
            session,
            organisation_id=shop.organisation.id,
            unit_id=shop.programme.unit_id,
            kind=AccountKind.CUSTOMER,
            now=now,
        )
        accounts = {
            "points": card.account_id,
            "others": other_card.account_id,
            "foreign": foreign.account_id,
            "money": certificate.account_id,
            "spare": spare.id,
        }
        return {
            **accounts,
            **{f"{each}_name": session.get_one(Account, id_).public_id
               for each, id_ in accounts.items()},
            "card": card.public_id,
            "second": second.account_id,
            "other_card": other_card.public_id,
            "other_card_id": other_card.id,
            "credit": given.public_id,
            "card_id": card.id,
            "certificate": certificate.public_id,
            "roubles": gifts.unit_id,
            "unit": shop.programme.unit_id,
            "programme": shop.programme.id,
            "other": other.organisation.id,
        }  # fmt: skip


@pytest.mark.parametrize(("damage", "sentence"), DAMAGE, ids=[each[1] for each in DAMAGE])
def test_each_kind_of_damage_is_named(
    database: Database, names: dict[str, object], damage: str, sentence: str
) -> None:
    """The card or certificate, its account, and what is wrong with it."""
    with Session(database.engine) as session:
        assert list(differences(session, LEDGER_CHECKS)) == []
        session.rollback()
        session.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in damage.format(**names).split(";"):
            session.execute(text(statement))
        assert sentence.format(**names) in list(differences(session, LEDGER_CHECKS))
        session.rollback()


def test_a_closed_card_may_point_at_a_merged_account(
    database: Database, names: dict[str, object]
) -> None:
    """It is history."""
    with Session(database.engine) as session:
        for statement in (
            "UPDATE accounts SET merged_into_id = {spare}, closed_at = now() WHERE id = {points}",
            "UPDATE cards SET closed_at = now() WHERE id = {card_id}",
        ):
            session.execute(text(statement.format(**names)))
        assert list(differences(session, LEDGER_CHECKS)) == []
        session.rollback()


def test_every_check_has_its_damage() -> None:
    """No check goes untested."""
    for check in (*card_checks.CHECKS, *certificate_checks.CHECKS):
        pattern = re.sub(r"\\{\w+\\}", ".+", re.escape(check.words))
        assert any(re.fullmatch(pattern, sentence) for _, sentence in DAMAGE), check.words
