"""What the holder may change: consents, language, devices, the phone."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlmodel import col, select

from tests.factories import TILL
from tests.storefront.account.house import OTHER_PHONE, PHONE, Browser, House
from walletsvc.core.actor import OPERATOR
from walletsvc.messaging.kinds import MessageKind
from walletsvc.messaging.models import Message
from walletsvc.messaging.proving.models import PhoneProof
from walletsvc.people.consents import service as consents
from walletsvc.people.consents.models import Consent, ConsentChannel, Purpose, Way
from walletsvc.people.models import Person, PersonPhone, Phone
from walletsvc.people.phones import phones_of
from walletsvc.people.sessions import service as sessions


@pytest.fixture
def holder(house: House, browser: Browser) -> Browser:
    """The holder at the settings, in English."""
    browser.log_in(house.past.card)
    browser.open(house.past.card, "/settings?lang=en")
    return browser


def text_of(page: str) -> str:
    found = re.search(r'name="text" value="(\w+)"', page)
    assert found is not None
    return found[1]


def may_advertise(house: House, channel: ConsentChannel) -> bool:
    with house.database.read_tx() as session:
        return consents.may_advertise(session, house.past.card.person_id, channel)


def test_news_are_agreed_to_and_ended_at_once(house: House, holder: Browser) -> None:
    """Each way by itself; the record says by which door, in which language, with which proof."""
    base = f"/c/{house.past.card.link_token}/settings"
    holder.post(f"{base}/advertising", text=text_of(holder.page), channels=["sms", "wallet"])
    assert "Saved, and in effect from now on" in holder.words
    assert may_advertise(house, ConsentChannel.SMS)
    assert not may_advertise(house, ConsentChannel.MESSENGER)
    with house.database.read_tx() as session:
        given = session.exec(select(Consent).where(Consent.channel == ConsentChannel.SMS)).one()
        proof = session.exec(select(PhoneProof)).one()
        assert (given.way, given.language, given.phone, given.proof_id) == (
            Way.PAGE, "en", PHONE, proof.id,
        )  # fmt: skip
        assert given.actor == f"customer:{house.person().public_id}"
    assert "agreed on 20 November 2026, version 1 of the text" in holder.words
    house.now += timedelta(hours=1)
    holder.post(f"{base}/advertising", text=text_of(holder.page), channels=["wallet"])
    assert not may_advertise(house, ConsentChannel.SMS)
    assert may_advertise(house, ConsentChannel.WALLET)
    with house.database.read_tx() as session:
        ended = session.exec(select(Consent).where(Consent.channel == ConsentChannel.SMS)).one()
        kept = session.exec(select(Consent).where(Consent.channel == ConsentChannel.WALLET)).one()
    assert (ended.withdrawn_at, ended.withdrawn_way) == (house.now, Way.PAGE)
    assert kept.given_at == house.now - timedelta(hours=1)


def test_what_somebody_else_says_was_agreed_to_is_not_ticked(house: House, holder: Browser) -> None:
    """Ticked by the person it is theirs; left alone it ends."""
    with house.database.write_tx() as session:
        person = house.past.card.person_id
        words = consents.current_texts(session, house.person().organisation_id, house.now)
        consents.give(
            session, session.get_one(Person, person), text=words[Purpose.ADVERTISING],
            channels=[ConsentChannel.SMS, ConsentChannel.WALLET], way=Way.CRM, language="ru",
            phone=PHONE, proof_id=None, actor=TILL, now=house.now,
        )  # fmt: skip
    base = f"/c/{house.past.card.link_token}/settings"
    holder.get(base)
    assert "agreed on" not in holder.words
    holder.post(f"{base}/advertising", text=text_of(holder.page), channels=["sms"])
    assert may_advertise(house, ConsentChannel.SMS)
    with house.database.read_tx() as session:
        stands = consents.standing(session, person, Purpose.ADVERTISING)
    assert [(each.channel, each.way) for each in stands] == [(ConsentChannel.SMS, Way.PAGE)]


def test_a_new_text_must_be_read_to_agree_but_not_to_withdraw(
    house: House, holder: Browser
) -> None:
    base = f"/c/{house.past.card.link_token}/settings"
    former = text_of(holder.page)
    holder.post(f"{base}/advertising", text=former, channels="sms")
    with house.database.write_tx() as session:
        consents.publish_text(
            session, organisation_id=house.shop.organisation.id, purpose=Purpose.ADVERTISING,
            title={"en": "News"}, body={"en": "Other words."}, actor=OPERATOR, now=house.now,
        )  # fmt: skip
    house.now += timedelta(days=2)
    answer = holder.post(f"{base}/advertising", text=former, channels=["sms", "wallet"])
    assert answer.status_code == 409
    assert "This text has changed" in holder.words
    assert "Other words." in holder.words
    assert may_advertise(house, ConsentChannel.SMS)
    assert not may_advertise(house, ConsentChannel.WALLET)
    holder.post(f"{base}/advertising", text=former)
    assert not may_advertise(house, ConsentChannel.SMS)


@pytest.mark.parametrize("text", ["", "x" * 20, "\0", "data"])
def test_only_the_text_of_the_purpose_counts(house: House, holder: Browser, text: str) -> None:
    if text == "data":
        with house.database.write_tx() as session:
            found = consents.current_texts(session, house.shop.organisation.id, house.now)
            text = found[Purpose.DATA].public_id
    base = f"/c/{house.past.card.link_token}/settings"
    answer = holder.post(f"{base}/advertising", text=text.replace("\0", ""), channels="sms")
    assert answer.status_code == 409
    assert house.count(Consent) == 0


def test_data_processing_is_agreed_to_and_withdrawn(house: House, holder: Browser) -> None:
    """With it end the news; the page says so, and that the card stays."""
    base = f"/c/{house.past.card.link_token}/settings"
    holder.post(f"{base}/advertising", text=text_of(holder.page), channels="sms")
    data = re.findall(r'name="text" value="(\w+)"', holder.page)[-1]
    holder.post(f"{base}/data", text=data, agree="yes")
    with house.database.read_tx() as session:
        assert len(consents.standing(session, house.past.card.person_id)) == 2
    holder.post(f"{base}/data")
    with house.database.read_tx() as session:
        assert consents.standing(session, house.past.card.person_id) == []
    assert holder.is_in(house.past.card)


def test_the_language_is_that_of_messages_pass_and_page(house: House, holder: Browser) -> None:
    holder.post(f"/c/{house.past.card.link_token}/settings/language", language="en")
    assert house.person().language == "en"
    with house.database.read_tx() as session:
        changed = session.connection().exec_driver_sql(
            "SELECT count(*) FROM changes WHERE topic = 'card' AND key = %s",
            (house.past.card.id,),
        )
        assert changed.scalar_one() >= 1
    holder.post(f"/c/{house.past.card.link_token}/settings/language", language="ru")
    assert '<html lang="ru">' in holder.page
    holder.post(f"/c/{house.past.card.link_token}/settings/language", language="de")
    assert house.person().language == "ru"


ANDROID = (
    "Mozilla/5.0 (Linux; Android 10; SM-A105F) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/5"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18 Safari/6"
)


def test_devices_are_told_and_logged_out(house: House) -> None:
    """One by one, or all others; this one is marked and stays."""
    card, browsers = house.past.card, []
    for agent in (ANDROID, IPHONE, "odd"):
        visitor = house.browser()
        visitor.client.environ_base["HTTP_USER_AGENT"] = agent
        visitor.log_in(card)
        browsers.append(visitor)
        house.now += timedelta(minutes=10)
    here = browsers[0]
    here.open(card, "/settings?lang=en")
    for words in ("Chrome, Android · this device", "Safari, iPhone", "Unknown device"):
        assert words in here.words
    assert "SM-A105F" not in "".join(each.device for each in house.logins())
    there = next(each for each in house.logins() if each.device == "Safari, iPhone")
    here.post(f"/c/{card.link_token}/devices", device=there.public_id)
    assert [each.is_in(card) for each in browsers] == [True, False, True]
    here.post(f"/c/{card.link_token}/devices", device="others")
    assert [each.is_in(card) for each in browsers] == [True, False, False]
    here.post(f"/c/{card.link_token}/logout")
    assert not here.is_in(card)
    assert here.cookie() == ""


def test_others_devices_cannot_be_logged_out(house: House, holder: Browser) -> None:
    theirs = house.member("Вера", OTHER_PHONE)
    stranger = house.browser()
    stranger.log_in(theirs, OTHER_PHONE)
    holder.post(f"/c/{house.past.card.link_token}/devices", device=house.logins()[-1].public_id)
    assert stranger.is_in(theirs)


def test_with_too_many_devices_the_oldest_goes(house: House) -> None:
    with house.database.write_tx() as session:
        for number in range(sessions.MOST + 2):
            at = house.now + timedelta(minutes=number)
            sessions.open_session(
                session, house.person(), f"t{number}", phone=PHONE, proof_id=None, device="",
                now=at,
            )  # fmt: skip
        standing = sessions.standing(session, house.past.card.person_id, at)
        assert len(standing) == sessions.MOST
        assert sessions.find(session, ["t1"], house.past.card.person_id, at) is None
        assert sessions.find(session, ["t2"], house.past.card.person_id, at) is not None


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
