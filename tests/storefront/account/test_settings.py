"""What the holder may change: consents, language, devices, the phone."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlmodel import select

from tests.factories import TILL
from tests.storefront.account.house import OTHER_PHONE, PHONE, Browser, House
from walletsvc.core.actor import OPERATOR
from walletsvc.messaging.proving.models import PhoneProof
from walletsvc.people.consents import service as consents
from walletsvc.people.consents.models import Consent, ConsentChannel, Purpose, Way
from walletsvc.people.models import Person
from walletsvc.people.sessions import service as sessions


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
