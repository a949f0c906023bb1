"""From a name and a phone to a card that a wallet can hold."""

from __future__ import annotations

import threading
from datetime import datetime

import pytest
from sqlmodel import select

from tests.factories import TILL, Shop, make_shop
from walletsvc.cards.models import Card
from walletsvc.core.errors import DuplicateMember, Refused
from walletsvc.enrolment.service import Enrolled, enrol, issue_certificate
from walletsvc.ledger.queries import balance
from walletsvc.passes.models import Pass, PassTemplate, TemplateVersion, VersionState, Wallet
from walletsvc.people.models import Person, Phone
from walletsvc.programmes.service import create_gift_programme, create_points_programme
from walletsvc.storage.engine import Database


def _enrol(database: Database, shop: Shop, now: datetime, name: str = "Анна") -> Enrolled:
    with database.write_tx() as session:
        return enrol(
            session,
            programme=shop.programme,
            phone="+79001234567",
            first_name=name,
            last_name="",
            birthday=None,
            language="ru",
            actor=TILL,
            now=now,
        )


def test_a_member_has_a_card_an_empty_account_and_a_pass(database: Database, now: datetime) -> None:
    """Everything the phone needs is there at once."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
    enrolled = _enrol(database, shop, now)
    assert [made.wallet for made in enrolled.passes] == [Wallet.APPLE]
    assert enrolled.passes[0].card_id == enrolled.card.id
    with database.read_tx() as session:
        assert balance(session, enrolled.card.account_id) == 0


@pytest.mark.parametrize("known", [False, True], ids=["new phone", "known phone"])
def test_eight_registrations_at_once_make_one_member(
    database: Database, now: datetime, known: bool
) -> None:
    """One wins; the others learn which card it is; a phone is one row, whether new or not."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
    if known:
        _enrol(database, shop, now, "Игорь")
    barrier = threading.Barrier(8)
    cards: list[str] = []

    def register() -> None:
        barrier.wait(10)
        try:
            cards.append(_enrol(database, shop, now).card.public_id)
        except DuplicateMember as error:
            cards.append(error.data["card_id"])

    threads = [threading.Thread(target=register) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(cards), len(set(cards))) == (8, 1)
    with database.read_tx() as session:
        assert len(session.exec(select(Phone)).all()) == 1
        for table in (Card, Person, Pass):
            assert len(session.exec(select(table)).all()) == 1 + known, table.__name__


def test_a_family_at_once_gets_a_card_each(database: Database, now: datetime) -> None:
    """The same new phone with four names, all at the same moment."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
    barrier = threading.Barrier(4)

    def register(name: str) -> None:
        barrier.wait(10)
        _enrol(database, shop, now, name)

    threads = [threading.Thread(target=register, args=(name,)) for name in "АБВГ"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with database.read_tx() as session:
        assert len(session.exec(select(Card)).all()) == 4
        assert len(session.exec(select(Phone)).all()) == 1


def test_without_a_template_nobody_is_enrolled(database: Database, now: datetime) -> None:
    """A card that no phone can show is not issued; nothing is left behind."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
        bare = create_points_programme(
            session, organisation_id=shop.organisation.id, slug="bare", name="B", now=now
        )
    with pytest.raises(Refused, match="template"), database.write_tx() as session:
        enrol(session, programme=bare, phone=None, first_name="А", actor=TILL, now=now)
    with database.read_tx() as session:
        assert session.exec(select(Person)).all() == []


def test_a_certificate_has_a_code_its_money_and_a_pass(database: Database, now: datetime) -> None:
    """The code is handed out once, here."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
        gift = create_gift_programme(
            session, organisation_id=shop.organisation.id, slug="gift", name="G", now=now
        )
        template = PassTemplate(
            programme_id=gift.id, pass_type_id=shop.pass_type.id, created_at=now
        )
        session.add(template)
        session.flush()
        session.add(
            TemplateVersion(
                template_id=template.id,
                number=1,
                state=VersionState.PUBLISHED,
                description={},
                digest=b"x",
                created_at=now,
            )
        )
        issued = issue_certificate(
            session, programme=gift, face_value=100_000, actor=TILL, reason="sold", now=now
        )
        assert issued.code == issued.certificate.code
        assert balance(session, issued.certificate.account_id) == 100_000
        assert [made.certificate_id for made in issued.passes] == [issued.certificate.id]
