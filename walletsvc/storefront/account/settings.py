"""Consents, language, phones and devices: what their owner may change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session, col, select
from werkzeug.datastructures import MultiDict

from walletsvc.core.actor import Actor
from walletsvc.core.errors import wrong
from walletsvc.enrolment.account.language import LANGUAGES
from walletsvc.messaging.proving.models import PhoneProof
from walletsvc.people.consents import service as consents
from walletsvc.people.consents.models import Consent, ConsentChannel, ConsentText, Purpose, Way
from walletsvc.people.consents.rules import shown_language
from walletsvc.people.models import Person
from walletsvc.people.phones import phones_of
from walletsvc.people.rules import masked_phone
from walletsvc.people.sessions import service as sessions
from walletsvc.storefront.account import answering, writing
from walletsvc.storefront.account.visiting import Visitor
from walletsvc.web.i18n import language
from walletsvc.web.i18n import translated as _

_ORDER: Final = (
    ConsentChannel.SMS, ConsentChannel.EMAIL, ConsentChannel.WALLET, ConsentChannel.MESSENGER,
    ConsentChannel.CALL,
)  # fmt: skip


@dataclass(frozen=True)
class Channel:
    """A way for news: whether it is agreed to, since when, and by which text."""

    code: str
    name: str
    agreed: str
    version: int | None
    text: str


@dataclass(frozen=True)
class Text:
    """A text to agree to, in the language in which it is shown."""

    id: str
    title: str
    body: str
    version: int
    language: str


def page(session: Session, found: Visitor, now: datetime) -> dict[str, Any]:
    """Everything of it. Takes a transaction that may write."""
    current = consents.current_texts(session, found.person.organisation_id, now)
    stands = consents.standing(session, found.person.id)
    texts = _texts_of(session, stands)
    data = next((each for each in stands if each.purpose is Purpose.DATA), None)
    return {
        "here": "settings",
        "said": answering.said(),
        "name": f"{found.person.first_name} {found.person.last_name}".strip(),
        "phones": [masked_phone(each) for each in phones_of(session, found.person.id)],
        "spoken": found.person.language,
        "channels": _channels(found, stands, texts),
        "advertising": _text(current[Purpose.ADVERTISING]),
        "data": _text(current[Purpose.DATA]),
        "data_agreed": _agreed(found, data, texts) if data else None,
        "devices": _devices(session, found, now),
    }


def change_advertising(
    session: Session, found: Visitor, sent: MultiDict[str, str], now: datetime
) -> None:
    """What is ticked is agreed to, what is not is withdrawn; at once. Raises InputError naming
    `text`, Conflict for a text that was replaced."""
    ticked = {each for each in _ORDER if each.value in sent.getlist("channels")}
    agreed = consents.standing(session, found.person.id, Purpose.ADVERTISING)
    stands = {each.channel for each in agreed if each.channel is not None}
    proven = {each.channel for each in agreed if consents.counts(each)}
    fresh = sorted(ticked - proven)
    if fresh:
        _give(session, found, sent.get("text", ""), Purpose.ADVERTISING, fresh, now)
    for channel in sorted(stands - ticked):
        consents.withdraw(
            session, found.person, purpose=Purpose.ADVERTISING, channel=channel, way=Way.PAGE,
            actor=actor(found.person), now=now,
        )  # fmt: skip


def change_data(session: Session, found: Visitor, sent: MultiDict[str, str], now: datetime) -> None:
    """Agree to data processing, or take it back, and advertising with it. Raises as above."""
    if sent.get("agree") == "yes":
        _give(session, found, sent.get("text", ""), Purpose.DATA, (), now)
        return
    consents.withdraw(
        session, found.person, purpose=Purpose.DATA, way=Way.PAGE, actor=actor(found.person),
        now=now,
    )  # fmt: skip


def actor(person: Person) -> Actor:
    """Who changes it: the person."""
    return Actor("customer", person.public_id)


def _give(
    session: Session,
    found: Visitor,
    text_id: str,
    purpose: Purpose,
    channels: Sequence[ConsentChannel],
    now: datetime,
) -> None:
    text = consents.find_text(session, found.person.organisation_id, text_id[:40])
    if text is None or text.purpose is not purpose:
        raise wrong("text", "is none of the texts to agree to", "unknown")
    proof_id = found.login.proof_id
    consents.give(
        session,
        found.person,
        text=text,
        channels=channels,
        way=Way.PAGE,
        language=language(),
        phone=found.login.phone,
        # Old proofs are deleted when nothing rests on them.
        proof_id=proof_id if proof_id and session.get(PhoneProof, proof_id) else None,
        actor=actor(found.person),
        now=now,
    )


def _channels(
    found: Visitor, stands: Sequence[Consent], texts: dict[int, ConsentText]
) -> list[Channel]:
    names = {
        ConsentChannel.SMS: _("by SMS"),
        ConsentChannel.EMAIL: _("by e-mail"),
        ConsentChannel.WALLET: _("on the card itself, in the phone's wallet"),
        ConsentChannel.MESSENGER: _("in a messenger"),
        ConsentChannel.CALL: _("by telephone"),
    }
    # Nobody is called for news unless they agreed to it elsewhere; no e-mail without an address.
    offered = {ConsentChannel.SMS, ConsentChannel.WALLET, ConsentChannel.MESSENGER}
    if found.person.email:
        offered.add(ConsentChannel.EMAIL)
    # What only somebody else says they agreed to is no tick: that would make it theirs unseen.
    agreed = {each.channel: each for each in stands if each.channel and consents.counts(each)}
    made = []
    for channel in _ORDER:
        if channel in agreed or channel in offered:
            day, version, text = _agreed(found, agreed.get(channel), texts)
            made.append(Channel(channel.value, names[channel], day, version, text))
    return made


def _agreed(
    found: Visitor, consent: Consent | None, texts: dict[int, ConsentText]
) -> tuple[str, int | None, str]:
    """When, to which version, and its page; empty for what is not agreed to."""
    if consent is None:
        return "", None, ""
    text = texts[consent.text_id]
    day = writing.day(consent.given_at, found.programme.time_zone, language())
    return day, text.version, f"/consents/{text.public_id}"


def _texts_of(session: Session, stands: Sequence[Consent]) -> dict[int, ConsentText]:
    ids = {each.text_id for each in stands}
    rows = session.exec(select(ConsentText).where(col(ConsentText.id).in_(ids)))
    return {row.id: row for row in rows}


def _text(text: ConsentText) -> Text:
    spoken = shown_language(text.body, language())
    return Text(text.public_id, text.title[spoken], text.body[spoken], text.version, spoken)


def _devices(session: Session, found: Visitor, now: datetime) -> list[dict[str, Any]]:
    zone = found.programme.time_zone
    return [
        {
            "id": each.public_id,
            "name": each.device or _("Unknown device"),
            "since": writing.minute(each.created_at, zone, language()),
            "seen": writing.day(each.seen_at, zone, language()),
            "here": each.id == found.login.id,
        }
        for each in sessions.standing(session, found.person.id, now)
    ]


def languages() -> tuple[str, ...]:
    """Those that one can be written to in."""
    return LANGUAGES
