"""Everything about a person is told, and can be taken out; the ledger keeps its sums."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select as core_select
from sqlalchemy import text
from sqlmodel import Session, SQLModel, col, select

from tests.enrolment.test_merging_sales import at_once
from tests.factories import TILL, Shop, make_member, make_shop
from walletsvc.app import LEDGER_CHECKS
from walletsvc.cards.groups import service as groups
from walletsvc.cards.models import Card
from walletsvc.core.errors import Conflict, InputError, Refused
from walletsvc.enrolment.merging import service as merging
from walletsvc.enrolment.merging.models import PersonMerge
from walletsvc.enrolment.models import Application, ApplicationState
from walletsvc.enrolment.personal.erasing import erase
from walletsvc.enrolment.personal.export import export
from walletsvc.enrolment.personal.models import Erasure
from walletsvc.enrolment.personal.tables import ERASED, KEPT, NOT_TOLD, TOLD
from walletsvc.jobs import events
from walletsvc.ledger import queries
from walletsvc.ledger import service as ledger
from walletsvc.ledger.verify import differences
from walletsvc.messaging.kinds import MessageKind
from walletsvc.messaging.models import Message, MessageState
from walletsvc.messaging.proving.models import PhoneProof, ProofPurpose, Route
from walletsvc.passes import content
from walletsvc.passes.models import Pass
from walletsvc.passes.service import find_by_link
from walletsvc.people.consents.models import Consent, ConsentText, Purpose, Way
from walletsvc.people.models import Person, Phone
from walletsvc.people.service import find_or_create_person
from walletsvc.storage import inbox
from walletsvc.storage.columns import EncryptedText
from walletsvc.storage.engine import Database

PHONE = "+79001112233"
SECRETS = ("Аделаида", "Оболенская", "9001112233", "adelaida@example.ru", "1971-02-03", "11 22-33")


def about_persons() -> set[str]:
    """Every table with a path of foreign keys to persons or phones."""
    tables = SQLModel.metadata.tables
    found, size = {"persons", "phones"}, 0
    while len(found) > size:
        size = len(found)
        found |= {
            name
            for name, table in tables.items()
            if any(key.column.table.name in found for key in table.foreign_keys)
        }
    return found


def test_every_table_about_persons_is_told_or_has_a_reason() -> None:
    """Whoever adds a table decides; nothing is named twice, nothing that does not exist."""
    known = about_persons()
    assert known - set(TOLD) - set(NOT_TOLD) == set()
    assert known - set(ERASED) - set(KEPT) == set()
    assert not set(TOLD) & set(NOT_TOLD)
    assert not set(ERASED) & set(KEPT)
    assert {*TOLD, *NOT_TOLD, *ERASED, *KEPT} <= set(SQLModel.metadata.tables)


def test_the_walk_sees_a_new_table() -> None:
    """The test above can fail."""
    assert {"consents", "lots", "purchase_lines", "messages"} <= about_persons()
    assert "organisations" not in about_persons()


@dataclass
class Known:
    """Somebody of whom everything is known; their number, and short verbs."""

    database: Database
    now: datetime
    shop: Shop
    person: int
    card: int

    def erase(self, **more: Any) -> Erasure:
        with self.database.write_tx() as session:
            person = session.get_one(Person, self.person)
            given: dict[str, Any] = {"reason": "по просьбе", "actor": TILL, "now": self.now}
            return erase(session, person, **given | more)

    def export(self) -> dict[str, Any]:
        with self.database.read_tx() as session:
            return export(session, session.get_one(Person, self.person))

    def everything(self) -> str:
        """All rows of all tables, encrypted columns opened."""
        with self.database.read_tx() as session:
            return "\n".join(line for line in dump(session))

    def sums(self) -> Any:
        with self.database.read_tx() as session:
            assert list(differences(session, LEDGER_CHECKS)) == []
            query = (
                "SELECT a.code, sum(e.amount) FROM ledger_entries e"
                " JOIN accounts a ON a.id = e.account_id GROUP BY a.code ORDER BY 1"
            )
            return [tuple(row) for row in session.execute(text(query))]


def dump(session: Session) -> Iterator[str]:
    for name, table in SQLModel.metadata.tables.items():
        if name == "idempotency_keys":  # forgotten after 90 days; documented
            continue
        for row in session.execute(core_select(table)).mappings():
            yield name + ": " + json.dumps(dict(row), default=str, ensure_ascii=False)


@pytest.fixture
def known(database: Database, now: datetime) -> Known:
    """A member with 100 points, and rows with name and phone wherever they can be."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
        card, pass_ = make_member(session, shop, now, "Аделаида", PHONE)
        person = session.get_one(Person, card.person_id)
        person.last_name, person.birthday = "Оболенская", date(1971, 2, 3)
        person.email = "adelaida@example.ru"
        proof = PhoneProof(
            organisation_id=shop.organisation.id, purpose=ProofPurpose.JOIN, route=Route.SMS,
            phone=PHONE, created_at=now, expires_at=now, proven_at=now,
        )  # fmt: skip
        wording = ConsentText(
            organisation_id=shop.organisation.id, purpose=Purpose.DATA, version=77,
            title={"ru": "Согласие"}, body={}, digest=b"", actor="x", published_at=now,
            retired_at=now,
        )  # fmt: skip
        session.add_all([proof, wording])
        session.flush()
        session.add(
            Consent(person_id=person.id, text_id=wording.id, purpose=Purpose.DATA, way=Way.FORM,
                    phone=PHONE, proof_id=proof.id, actor="x", given_at=now)
        )  # fmt: skip
        for card_id, state in ((card.id, ApplicationState.DONE), (None, ApplicationState.WAITING)):
            session.add(
                Application(
                    nonce=f"n{card_id}", programme_id=shop.programme.id, form='{"n": "Аделаида"}',
                    phone=PHONE, state=state, card_id=card_id, way=Way.FORM, created_at=now,
                    expires_at=now, completed_at=now if card_id else None,
                )
            )  # fmt: skip
        for person_id in (person.id, None):
            session.add(
                Message(
                    organisation_id=shop.organisation.id, person_id=person_id,
                    kind=MessageKind.CARD_LINK, channels=["sms"],
                    recipient=json.dumps({"phone": PHONE}), body='{"sms": "Аделаида!"}',
                    due_at=now, created_at=now,
                )
            )  # fmt: skip
        inbox.receive(session, source="sms", external_id="1", body={"from": "79001112233"}, now=now)
        ledger.credit(session, card.account_id, 100, source="x", actor=TILL, reason="", now=now,
                      card_id=card.id)  # fmt: skip
        pass_.content = content.render(session, [pass_.id])[pass_.id].content
    return Known(database, now, shop, card.person_id, card.id)


def test_the_export_tells_everything_and_no_secrets(known: Known) -> None:
    """Names, phones, agreements with their texts, cards, points, messages; no tokens, no ids."""
    told = known.export()
    shown = json.dumps(told, ensure_ascii=False)
    assert all(secret in shown for secret in SECRETS[:5])
    with known.database.read_tx() as session:
        card = session.get_one(Card, known.card)
        pass_ = session.exec(select(Pass).where(Pass.card_id == card.id)).one()
        assert card.link_token not in shown
        assert pass_.auth_token not in shown
        assert told["cards"][0]["number"] == card.number
    assert told["consents"][0]["phone"] == PHONE
    assert told["consent_texts"][0]["version"] == 77
    assert told["consents"][0]["text"] == told["consent_texts"][0]["id"]
    assert [row["amount"] for row in told["ledger_entries"]] == [100]
    assert len(told["messages"]) == 2
    assert len(told["applications"]) == 2
    assert told["persons"][0]["birthday"] == "1971-02-03"
    assert told["cards"][0]["person"] == told["persons"][0]["id"]


def test_erasing_leaves_no_trace_but_the_ledger(known: Known) -> None:
    """Nothing personal in any table; the sums stay, the pass is void and names nobody."""
    before = known.everything()
    assert all(secret in before for secret in SECRETS[:5])
    with known.database.read_tx() as session:
        token = session.get_one(Card, known.card).link_token
    made = known.erase(forfeit=True)
    after = known.everything()
    assert [secret for secret in SECRETS if secret in after] == []
    assert list(made.forfeited.values()) == [100]
    assert made.remaining == {}
    assert known.sums() == [("breakage", 100), ("issuance", -100), (None, 0)]
    with known.database.read_tx() as session:
        card = session.get_one(Card, known.card)
        assert card.closed_at == known.now
        assert find_by_link(session, token) is None
        pass_ = session.exec(select(Pass).where(Pass.card_id == card.id)).one()
        said = content.render(session, [pass_.id])[pass_.id]
        assert said.digest != pass_.digest
        assert said.content["voided"] is True
        assert "name" not in said.content["values"]
        consent = session.exec(select(Consent)).one()
        assert (consent.withdrawn_at, consent.withdrawn_way) == (known.now, Way.STAFF)
        assert consent.phone is None
        assert consent.phone_hash
        states = [each.state for each in session.exec(select(Message))]
        assert states == [MessageState.REFUSED] * 2
        assert session.exec(select(Phone)).all() == []
    with known.database.write_tx() as session:
        new = find_or_create_person(
            session, organisation_id=known.shop.organisation.id, phone=PHONE,
            first_name="Аделаида", last_name="Оболенская", now=known.now,
        )  # fmt: skip
        assert new.id != known.person
    with pytest.raises(Conflict, match="before"):
        known.erase()


def test_points_are_forfeited_only_when_asked(known: Known) -> None:
    """Those promised too; reserved ones stop it; a reason is needed."""
    with known.database.write_tx() as session:
        account = session.get_one(Card, known.card).account_id
        ledger.credit(
            session, account, 30, source="x", actor=TILL, reason="", now=known.now,
            available_from=known.now + timedelta(days=1), card_id=known.card,
        )  # fmt: skip
    before = known.everything()
    with pytest.raises(Refused) as refused:
        known.erase()
    assert list(refused.value.data["points"].values()) == [130]
    with pytest.raises(InputError):
        known.erase(reason=" ", forfeit=True)
    assert known.everything() == before
    made = known.erase(forfeit=True)
    assert list(made.forfeited.values()) == [130]
    assert ("pending", 0) in known.sums()


def test_what_others_share_stays_theirs(known: Known) -> None:
    """A family's phone and points: the phone stays the other's, the points stay with the group."""
    with known.database.write_tx() as session:
        other, _ = make_member(session, known.shop, known.now, "Борис", PHONE)
        groups.approve(
            session, other, session.get_one(Card, known.card), reason="x", actor=TILL,
            now=known.now,
        )  # fmt: skip
    made = known.erase()
    assert made.forfeited == made.remaining == {}
    with known.database.read_tx() as session:
        other = session.get_one(Card, other.id)
        assert queries.balance(session, other.account_id) == 100
        assert other.closed_at is None
        assert other.group_id is None
        assert session.exec(select(Phone.e164)).all() == [PHONE]
    after = known.everything()
    assert "Аделаида" not in after.replace('{\\"n\\": \\"Аделаида\\"}', "").replace(
        '{\\"sms\\": \\"Аделаида!\\"}', ""
    )
    known.sums()


def test_merged_rows_go_with_the_person(known: Known) -> None:
    """Both rows are told and erased as one; the merged one alone is not; no undoing afterwards."""
    with known.database.write_tx() as session:
        twin, _ = make_member(session, known.shop, known.now, "Ада", "+79001110000")
        made = merging.merge(
            session, session.get_one(Person, known.person), session.get_one(Person, twin.person_id),
            reason="Аделаида и Ада", actor=TILL, now=known.now,
        )  # fmt: skip
    assert {row["first_name"] for row in known.export()["persons"]} == {"Аделаида", "Ада"}
    with pytest.raises(Conflict, match="merged"), known.database.write_tx() as session:
        erase(
            session, session.get_one(Person, twin.person_id), reason="x", actor=TILL, now=known.now
        )
    known.erase(forfeit=True)
    assert "Ада" not in known.everything()
    assert "9001110000" not in known.everything()
    with pytest.raises(Conflict, match="erased"), known.database.write_tx() as session:
        merging.undo(
            session, session.get_one(PersonMerge, made.id), reason="x", actor=TILL,
            now=known.now,
        )  # fmt: skip
    known.sums()


def test_others_are_told_and_left_alone(database: Database, known: Known) -> None:
    """Whoever keeps something of the person hears of it; another's rows stay as they are."""
    with database.write_tx() as session:
        other, _ = make_member(session, known.shop, known.now, "Вера", "+79005556677")
    heard: list[events.PersonErased] = []
    listening = Database(
        database.conninfo,
        carried=events.carried({events.PersonErased: (lambda _, event: heard.append(event),)}),
    )
    try:
        Known(listening, known.now, known.shop, known.person, known.card).erase(forfeit=True)
    finally:
        listening.close()
    assert [(each.person_ids, each.phones) for each in heard] == [((known.person,), (PHONE,))]
    with database.read_tx() as session:
        row = session.exec(select(Person).where(col(Person.id) == other.person_id)).one()
        assert (row.first_name, row.closed_at) == ("Вера", None)


@pytest.mark.parametrize("_", range(3))
def test_erasing_and_registering_at_once(known: Known, _: int) -> None:
    """Of two erasures one is made. Who registers with the phone is found by it, or is new: never a
    card on a row that is closed, never a phone that is left behind with nobody."""

    def register() -> Card:
        with known.database.write_tx() as session:
            return make_member(session, known.shop, known.now, "Аделаида Вторая", PHONE)[0]

    found = at_once(lambda: known.erase(forfeit=True), lambda: known.erase(forfeit=True), register)
    assert sorted(type(each).__name__ for each in found) == ["Card", "Conflict", "Erasure"]
    with known.database.read_tx() as session:
        numbers = session.exec(select(Phone.e164)).all()
        assert numbers == [PHONE]
        owners = session.exec(select(Person).where(col(Person.closed_at).is_(None))).all()
        assert [each.first_name for each in owners] == ["Аделаида Вторая"]
    known.sums()


def test_all_encrypted_columns_are_looked_at() -> None:
    """The dump above opens them."""
    found = [
        f"{table.name}.{column.name}"
        for table in SQLModel.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, EncryptedText)
    ]
    assert "applications.form" in found
    assert "messages.recipient" in found
