"""Publishing texts of consents, agreeing to them, and taking an agreement back.

Nothing is overwritten: who asks later finds what was agreed to, when, by which door, with which
proof, and when it ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlmodel import Session, col, func, or_, select

from walletsvc.core.actor import SYSTEM, Actor
from walletsvc.core.errors import Conflict, wrong
from walletsvc.merchants.models import Organisation
from walletsvc.people.consents import rules, texts
from walletsvc.people.consents.models import Consent, ConsentChannel, ConsentText, Purpose, Way
from walletsvc.people.models import Person
from walletsvc.storage.rows import Inserted, Read, made_here
from walletsvc.storage.statement import Statement

# A form that was opened before a new version came may still be sent.
OUTDATED_AFTER: Final = timedelta(days=1)

_TEXT: Final = Read(ConsentText, "WHERE public_id = :text AND organisation_id = :organisation")
_PUBLISHED: Final = Read(
    ConsentText, "WHERE organisation_id = :organisation AND retired_at IS NULL"
)
_HISTORY: Final = Read(Consent, "WHERE person_id = :person ORDER BY given_at, id")
_CONSENTS: Final = Inserted(Consent)
_LOCK: Final = Statement("SELECT id FROM persons WHERE id = :person FOR NO KEY UPDATE")


def publish_text(
    session: Session,
    *,
    organisation_id: int,
    purpose: Purpose,
    title: Mapping[str, str],
    body: Mapping[str, str],
    actor: Actor,
    now: datetime,
) -> ConsentText:
    """Make this the text that people are asked to agree to, as the next version.

    The same words again are no new version. Who agreed to an earlier one still has. Raises
    InputError naming what is wrong.
    """
    titles, bodies = rules.check_words(title, body)
    _one_at_a_time(session, organisation_id)
    return _publish(session, organisation_id, purpose, titles, bodies, actor, now)


def current_texts(
    session: Session, organisation_id: int, now: datetime
) -> dict[Purpose, ConsentText]:
    """What people are asked to agree to now. The shipped texts are published when the
    organisation has none of a purpose, so the session must be one that may write."""
    found = _published(session, organisation_id)
    if len(found) == len(Purpose):
        return found
    organisation = _one_at_a_time(session, organisation_id)
    found = _published(session, organisation_id)
    for purpose in Purpose:
        if purpose not in found:
            title, body = texts.shipped(purpose, organisation)
            _publish(session, organisation_id, purpose, title, body, SYSTEM, now)
    return _published(session, organisation_id)


def find_text(session: Session, organisation_id: int, text: str) -> ConsentText | None:
    """The organisation's text with this public id, of whatever version."""
    return _TEXT.first(session, text=text, organisation=organisation_id)


def all_texts(session: Session, organisation_id: int) -> list[ConsentText]:
    """Every version of every text, newest first."""
    return list(
        session.exec(
            select(ConsentText)
            .where(ConsentText.organisation_id == organisation_id)
            .order_by(col(ConsentText.id).desc())
        )
    )


def give(
    session: Session,
    person: Person,
    *,
    text: ConsentText,
    channels: Sequence[ConsentChannel] = (),
    way: Way,
    language: str,
    phone: str | None,
    proof_id: int | None,
    actor: Actor,
    now: datetime,
) -> list[Consent]:
    """Write down that the person agreed to a text: to advertising by each of the channels, to
    data processing without any.

    What they agreed to already stays as it is; an agreement to another version, and one without
    proof when this one has a proof, ends in the same moment. Raises InputError naming the field,
    Conflict for a text replaced over a day ago.
    """
    return give_each(
        session, person, [(text, channels)], way=way, language=language, phone=phone,
        proof_id=proof_id, actor=actor, now=now,
    )  # fmt: skip


def give_each(
    session: Session,
    person: Person,
    agreed: Sequence[tuple[ConsentText, Sequence[ConsentChannel]]],
    *,
    way: Way,
    language: str,
    phone: str | None,
    proof_id: int | None,
    actor: Actor,
    now: datetime,
) -> list[Consent]:
    """`give` for texts of different purposes at once."""
    texts_ = {
        (text.purpose, channel): text
        for text, channels in agreed
        for channel in _channels(text, channels)
    }
    for text in texts_.values():
        _check_text(person, text, now)
    if not made_here(session, Person, person.id):
        _lock(session, person)
    stands = {(each.purpose, each.channel): each for each in standing(session, person.id)}
    kept = {
        key
        for key, text in texts_.items()
        if key in stands
        and stands[key].text_id == text.id
        and _weight(stands[key].way, stands[key].proof_id) >= _weight(way, proof_id)
    }
    _end(session, [stands[key] for key in texts_ if key in stands.keys() - kept], way, actor, now)
    missing = [
        {
            "person_id": person.id,
            "text_id": text.id,
            "purpose": purpose,
            "channel": channel,
            "way": way,
            "language": rules.shown_language(text.body, language),
            "phone": phone,
            "proof_id": proof_id,
            "actor": str(actor),
            "given_at": now,
        }
        for (purpose, channel), text in texts_.items()
        if (purpose, channel) not in kept
    ]
    stands |= {(each.purpose, each.channel): each for each in _CONSENTS.all(session, missing)}
    return [stands[key] for key in texts_]


def withdraw(
    session: Session,
    person: Person,
    *,
    purpose: Purpose,
    channel: ConsentChannel | None = None,
    way: Way,
    actor: Actor,
    now: datetime,
) -> list[Consent]:
    """Take back the agreement to a purpose, or to advertising by one channel; what ended.

    Who takes back the agreement to data processing is sent no advertising either.
    """
    if purpose is Purpose.DATA and channel is not None:
        raise wrong("channel", "is for advertising only", "not_allowed")
    _lock(session, person)
    ended = [
        each
        for each in standing(session, person.id)
        if purpose in (Purpose.DATA, each.purpose) and channel in (None, each.channel)
    ]
    _end(session, ended, way, actor, now)
    return ended


def standing(session: Session, person_id: int, purpose: Purpose | None = None) -> list[Consent]:
    """What the person agrees to now."""
    return [
        each
        for each in history(session, person_id)
        if each.withdrawn_at is None and purpose in (None, each.purpose)
    ]


def history(session: Session, person_id: int) -> list[Consent]:
    """Everything the person ever agreed to, in that order, what ended included."""
    return _HISTORY.all(session, person=person_id)


def may_advertise(session: Session, person_id: int, channel: ConsentChannel) -> bool:
    """Whether the person agrees to advertising by this channel, and is still one of ours.

    Somebody's word for it is not enough: it counts with a proof, or from the person's own page,
    which opens to a proven phone only.
    """
    return (
        session.exec(
            select(Consent.id)
            .join(Person, col(Person.id) == col(Consent.person_id))
            .where(
                Consent.person_id == person_id,
                Consent.purpose == Purpose.ADVERTISING,
                Consent.channel == channel,
                col(Consent.withdrawn_at).is_(None),
                or_(col(Consent.proof_id).is_not(None), Consent.way == Way.PAGE),
                col(Person.closed_at).is_(None),
                col(Person.erased_at).is_(None),
            )
        ).first()
        is not None
    )


def _channels(
    text: ConsentText, channels: Sequence[ConsentChannel]
) -> Sequence[ConsentChannel | None]:
    if text.purpose is Purpose.DATA:
        if channels:
            raise wrong("channels", "are for advertising only", "not_allowed")
        return (None,)
    if not channels:
        raise wrong("channels", "must name at least one channel", "required")
    return sorted(set(channels))


def _weight(way: Way, proof_id: int | None) -> int:
    """What an agreement is worth as evidence: of two to the same the better one is kept."""
    return 2 if proof_id is not None else int(way is Way.PAGE)


def counts(consent: Consent) -> bool:
    """Whether there is more behind an agreement than somebody's word."""
    return _weight(consent.way, consent.proof_id) > 0


def _lock(session: Session, person: Person) -> None:
    """One change of a person's consents at a time. Who locks phones too locks them before."""
    _LOCK.run(session, {"person": person.id})


def _end(
    session: Session, consents: Sequence[Consent], way: Way, actor: Actor, now: datetime
) -> None:
    for each in consents:
        each.withdrawn_at, each.withdrawn_way, each.withdrawn_actor = now, way, str(actor)
    session.flush()


def _check_text(person: Person, text: ConsentText, now: datetime) -> None:
    if text.organisation_id != person.organisation_id:
        raise wrong("text", "is not a text of this person's organisation", "unknown")
    if text.retired_at is not None and text.retired_at + OUTDATED_AFTER < now:
        raise Conflict("A newer text took this one's place: have the person read that one.")


def _one_at_a_time(session: Session, organisation_id: int) -> Organisation:
    """The organisation, locked against others who publish."""
    return session.exec(
        select(Organisation)
        .where(Organisation.id == organisation_id)
        .with_for_update(key_share=True)
    ).one()


def _published(session: Session, organisation_id: int) -> dict[Purpose, ConsentText]:
    found = {row.purpose: row for row in _PUBLISHED.all(session, organisation=organisation_id)}
    return {purpose: found[purpose] for purpose in Purpose if purpose in found}


def _publish(
    session: Session,
    organisation_id: int,
    purpose: Purpose,
    title: Mapping[str, str],
    body: Mapping[str, str],
    actor: Actor,
    now: datetime,
) -> ConsentText:
    digest = rules.digest(purpose, title, body)
    former = _published(session, organisation_id).get(purpose)
    if former is not None:
        if former.digest == digest:
            return former
        former.retired_at = now
        session.flush()
    last = session.exec(
        select(func.max(ConsentText.version)).where(
            ConsentText.organisation_id == organisation_id, ConsentText.purpose == purpose
        )
    ).one()
    text = ConsentText(
        organisation_id=organisation_id,
        purpose=purpose,
        version=(last or 0) + 1,
        title=dict(title),
        body=dict(body),
        digest=digest,
        actor=str(actor),
        published_at=now,
    )
    session.add(text)
    session.flush()
    return text
