"""Issuing gift certificates."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session, select

from tests.factories import TILL, make_shop
from walletsvc.certificates.lookup import look_up
from walletsvc.certificates.models import Certificate
from walletsvc.certificates.service import issue
from walletsvc.core.errors import InputError, Refused
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.ledger.models import Account, AccountKind, SystemCode
from walletsvc.ledger.queries import balance
from walletsvc.merchants.service import create_organisation
from walletsvc.programmes.models import Programme
from walletsvc.programmes.service import create_gift_programme
from walletsvc.storage.engine import Database


def _gift(session: Session, now: datetime) -> Programme:
    owner = create_organisation(session, slug="a", name="A", now=now)
    return create_gift_programme(
        session, organisation_id=owner.id, slug="gift", name="Gift", now=now
    )


def _issue(session: Session, programme: Programme, now: datetime, **changes: Any) -> Any:
    values: dict[str, Any] = {"face_value": 300_000, "recipient_name": " Марина  К. "}
    return issue(
        session, programme=programme, actor=TILL, reason="sold", now=now, **values | changes
    )


def test_a_certificate_is_worth_its_face_and_paid_for(database: Database, now: datetime) -> None:
    """Its own account holds the money, cash clearing gave it."""
    with database.write_tx() as session:
        certificate, code = _issue(session, _gift(session, now), now)
        assert balance(session, certificate.account_id) == 300_000
        account = session.get_one(Account, certificate.account_id)
        assert account.kind is AccountKind.CERTIFICATE
        clearing = session.exec(
            select(Account.id).where(Account.code == SystemCode.CASH_CLEARING)
        ).one()
        given = session.execute(
            text("SELECT sum(amount) FROM ledger_entries WHERE account_id = :id"), {"id": clearing}
        ).scalar_one()
        assert given == -300_000
        assert certificate.recipient_name == "Марина К."
        own = account.organisation_id
        assert look_up(session, code.lower().replace("-", " "), own) is certificate
        assert look_up(session, "6NAP-GRVQ-629N-XNG5", own) is None


def test_the_code_is_not_readable_in_the_database(database: Database, now: datetime) -> None:
    """Who steals the database steals no money."""
    with database.write_tx() as session:
        _, code = _issue(session, _gift(session, now), now)
    with database.engine.connect() as connection:
        row = connection.exec_driver_sql("SELECT code, code_hash FROM certificates").one()
    assert code not in row[0]
    with database.read_tx() as session:
        assert session.exec(select(Certificate.code)).one() == code


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"face_value": 0}, "face_value"),
        ({"face_value": -1}, "face_value"),
        ({"face_value": MAX_AMOUNT + 1}, "face_value"),
        ({"expires_at": timedelta(0)}, "expires_at"),
        ({"expires_at": timedelta(days=-1)}, "expires_at"),
        ({"recipient_name": "x" * 121}, "recipient_name"),
        ({"recipient_name": "a\x00"}, "recipient_name"),
    ],
)
def test_bad_data_is_refused_and_named(
    database: Database, now: datetime, changes: dict[str, Any], field: str
) -> None:
    """Nothing is written."""
    if "expires_at" in changes:
        changes = {"expires_at": now + changes["expires_at"]}
    with database.write_tx() as session:
        programme = _gift(session, now)
    with pytest.raises(InputError) as caught, database.write_tx() as session:
        _issue(session, programme, now, **changes)
    assert caught.value.fields[0].field == field
    with database.read_tx() as session:
        assert session.exec(select(Account)).all() == []


def test_points_and_closed_programmes_issue_no_certificates(
    database: Database, now: datetime
) -> None:
    """The reason is told."""
    with database.write_tx() as session:
        with pytest.raises(Refused, match="cards"):
            _issue(session, make_shop(session, now).programme, now)
        programme = _gift(session, now)
        programme.closed_at = now
        with pytest.raises(Refused, match="closed"):
            _issue(session, programme, now)
