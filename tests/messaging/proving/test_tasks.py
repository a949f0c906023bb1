"""Phones that led to nothing are forgotten."""

from __future__ import annotations

from sqlmodel import col, select

from tests.messaging.proving.conftest import Desk
from walletsvc.core.actor import SYSTEM
from walletsvc.messaging.proving.models import PhoneProof
from walletsvc.messaging.proving.tasks import forget
from walletsvc.people.consents import service as consents
from walletsvc.people.consents.models import Purpose, Way
from walletsvc.people.service import find_or_create_person


def test_old_proofs_go_those_of_consents_stay(desk: Desk) -> None:
    used = desk.proven()
    desk.use(used)
    desk.start(subject="form:2")
    desk.start(subject="form:3", now=desk.later(days=1))
    with desk.database.write_tx() as session:
        proof = session.exec(select(PhoneProof).where(PhoneProof.public_id == used)).one()
        organisation = desk.shop.organisation.id
        person = find_or_create_person(
            session, organisation_id=organisation, phone=None, first_name="Анна", now=desk.now
        )
        words = consents.current_texts(session, organisation, desk.now)[Purpose.DATA]
        consents.give(
            session, person, text=words, way=Way.FORM, language="ru", phone=proof.phone,
            proof_id=proof.id, actor=SYSTEM, now=desk.now,
        )  # fmt: skip
    assert forget(desk.database, desk.later(days=30)) == 0
    assert forget(desk.database, desk.later(days=30, seconds=1)) == 1
    with desk.database.read_tx() as session:
        left = session.exec(select(PhoneProof.subject).order_by(col(PhoneProof.id))).all()
    assert left == ["form:1", "form:3"]
