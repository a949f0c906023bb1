"""Changing one's phone: a code to the old one, then to the new one."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlmodel import col, select

from tests.storefront.account.house import OTHER_PHONE, PHONE, Browser, House
from walletsvc.enrolment.phones.models import PhoneChange
from walletsvc.messaging.kinds import MessageKind
from walletsvc.messaging.models import Message
from walletsvc.messaging.proving.models import PhoneProof
from walletsvc.people.models import PersonPhone, Phone
from walletsvc.people.phones import phones_of


def begin(house: House, holder: Browser, new: str = OTHER_PHONE) -> str:
    """Up to the code that the new phone was sent."""
    base = f"/c/{house.past.card.link_token}/phone"
    house.now += timedelta(minutes=2)
    holder.get(base)
    holder.post(base)
    holder.post(f"{base}/code", code=holder.codes()[-1])
    assert "Now, the new number" in holder.words
    holder.post(f"{base}/new", phone=new)
    return holder.codes()[-1]


def phones(house: House) -> list[str]:
    with house.database.read_tx() as session:
        return list(phones_of(session, house.past.card.person_id))


def test_a_phone_is_changed_with_proof_of_both(house: House, holder: Browser) -> None:
    """It moves, other browsers are logged out, the old phone is told; the new one logs in."""
    other = house.browser()
    other.log_in(house.past.card)
    holder.open(house.past.card, "/settings?lang=en")
    code = begin(house, holder)
    assert phones(house) == [PHONE]
    holder.post(f"/c/{house.past.card.link_token}/phone/code", code=code)
    assert "Your phone is changed" in holder.words
    assert phones(house) == [OTHER_PHONE]
    assert holder.is_in(house.past.card)
    assert not other.is_in(house.past.card)
    with house.database.read_tx() as session:
        told = session.exec(select(Message).where(Message.kind == MessageKind.PHONE_CHANGED)).one()
        kept = session.exec(select(PhoneChange)).one()
        assert (kept.former, kept.phone, kept.proven, kept.told) == (PHONE, OTHER_PHONE, True, True)
        assert kept.actor == f"customer:{house.person().public_id}"
        assert PHONE in told.recipient
        held = session.exec(select(PersonPhone)).one()
        assert held.verified_at == house.now
    house.now += timedelta(hours=2)
    before = len(other.codes())
    other.ask(house.past.card, PHONE)
    assert len(other.codes()) == before
    other.log_in(house.past.card, OTHER_PHONE)
    assert other.is_in(house.past.card)


def test_without_the_old_phone_nothing_moves(house: House, holder: Browser) -> None:
    """Neither by going straight to the second step, nor by proving the new phone twice."""
    base = f"/c/{house.past.card.link_token}/phone"
    holder.get(base)
    holder.post(f"{base}/new", phone=OTHER_PHONE)
    assert len(holder.codes()) == 1
    house.now += timedelta(minutes=2)
    holder.post(base)
    assert holder.post(f"{base}/code", code="000000").status_code == 400
    holder.post(f"{base}/new", phone=OTHER_PHONE)
    assert "Now, the new number" not in holder.words
    assert phones(house) == [PHONE]
    assert len(holder.codes()) == 2


def test_the_wrong_code_of_the_new_phone_moves_nothing(house: House, holder: Browser) -> None:
    begin(house, holder)
    base = f"/c/{house.past.card.link_token}/phone"
    assert holder.post(f"{base}/code", code="000000").status_code == 400
    assert "4 more times" in holder.words
    assert phones(house) == [PHONE]


def test_a_proof_of_the_old_phone_gets_old(house: House, holder: Browser) -> None:
    """Half an hour later one begins anew."""
    code = begin(house, holder)
    house.now += timedelta(minutes=9)
    base = f"/c/{house.past.card.link_token}/phone"
    with house.database.write_tx() as session:
        for proof in session.exec(select(PhoneProof).where(col(PhoneProof.proven_at).is_not(None))):
            proof.proven_at = house.now - timedelta(minutes=31)
    holder.post(f"{base}/code", code=code)
    assert phones(house) == [PHONE]
    assert "please start again" in holder.words


def test_one_log_in_cannot_use_the_proofs_of_another(house: House, holder: Browser) -> None:
    """A browser that is logged in too has its own change to make."""
    code = begin(house, holder)
    other = house.browser()
    house.now += timedelta(minutes=2)
    other.log_in(house.past.card)
    cookie = holder.client.get_cookie("session")
    assert cookie is not None
    other.client.set_cookie("session", cookie.value)
    other.open(house.past.card, "/phone?lang=en")
    other.post(f"/c/{house.past.card.link_token}/phone/code", code=code)
    assert phones(house) == [PHONE]


def test_changing_twice_at_once_changes_once(house: House, holder: Browser) -> None:
    """A double click, and the message goes once."""
    code = begin(house, holder)
    token = re.search(r'name="csrf_token" value="([^"]*)"', holder.page)
    cookies = [holder.client.get_cookie("session"), holder.client.get_cookie("account", path="/c")]
    assert token is not None

    def once(_: int) -> int:
        client = house.app.test_client()
        for cookie, path in zip(cookies, ("/", "/c"), strict=True):
            assert cookie is not None
            client.set_cookie(cookie.key, cookie.value, path=path)
        sent = {"csrf_token": token[1], "code": code}
        answer = client.post(f"/c/{house.past.card.link_token}/phone/code", data=sent)
        assert (answer.status_code, answer.headers.get("Location", "")[-9:]) == (303, "/settings")
        return answer.status_code

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(once, range(4)))
    assert phones(house) == [OTHER_PHONE]
    with house.database.read_tx() as session:
        told = session.exec(select(Message).where(Message.kind == MessageKind.PHONE_CHANGED)).all()
    assert len(told) == 1


def test_a_phone_of_the_family_may_be_taken(house: House, holder: Browser) -> None:
    """Families share; the other person keeps it."""
    theirs = house.member("Пётр", OTHER_PHONE)
    code = begin(house, holder)
    holder.post(f"/c/{house.past.card.link_token}/phone/code", code=code)
    assert phones(house) == [OTHER_PHONE]
    with house.database.read_tx() as session:
        assert list(phones_of(session, theirs.person_id)) == [OTHER_PHONE]


def test_who_has_several_phones_chooses_which_goes(house: House, holder: Browser) -> None:
    third = "+79000003000"
    with house.database.write_tx() as session:
        phone = Phone(e164=third, created_at=house.now)
        session.add(phone)
        session.flush()
        session.add(PersonPhone(person_id=house.past.card.person_id, phone_id=phone.id,
                                created_at=house.now))  # fmt: skip
    base = f"/c/{house.past.card.link_token}/phone"
    holder.get(base)
    assert 'type="radio"' in holder.page
    holder.post(base, old="1")
    with house.database.read_tx() as session:
        asked = session.exec(select(PhoneProof).order_by(col(PhoneProof.id).desc())).first()
        assert asked is not None
        assert asked.phone == third
    holder.post(f"{base}/code", code=holder.codes()[-1])
    assert holder.post(f"{base}/new", phone=PHONE).status_code == 400
    assert "yours already" in holder.words
    holder.post(f"{base}/new", phone="nonsense")
    assert "not a phone number" in holder.words
    holder.post(f"{base}/new", phone=OTHER_PHONE)
    holder.post(f"{base}/code", code=holder.codes()[-1])
    assert sorted(phones(house)) == [PHONE, OTHER_PHONE]


def test_a_mistyped_new_number_can_be_typed_again(house: House, holder: Browser) -> None:
    begin(house, holder)
    base = f"/c/{house.past.card.link_token}/phone"
    holder.post(f"{base}/anew")
    assert "First, your current number" in holder.words
    assert phones(house) == [PHONE]


def test_changing_a_phone_logs_out_whoever_came_by_another(house: House, holder: Browser) -> None:
    """All other browsers, also those that were opened with a phone that stays."""
    third = "+79000003000"
    with house.database.write_tx() as session:
        phone = Phone(e164=third, created_at=house.now)
        session.add(phone)
        session.flush()
        session.add(PersonPhone(person_id=house.past.card.person_id, phone_id=phone.id,
                                created_at=house.now + timedelta(seconds=1)))  # fmt: skip
    other = house.browser()
    other.log_in(house.past.card, third)
    assert other.is_in(house.past.card)
    holder.post(f"/c/{house.past.card.link_token}/phone/code", code=begin(house, holder))
    assert sorted(phones(house)) == [OTHER_PHONE, third]
    assert not other.is_in(house.past.card)
