"""Consents: the texts, who agreed to which, and withdrawal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel
from sqlmodel import col, select

from walletsvc.access.rules import Scope
from walletsvc.api import proofs
from walletsvc.api.consents_schemas import (
    ConsentList,
    ConsentOut,
    ConsentTextList,
    ConsentTextOut,
    NewConsent,
    NewConsentText,
    Withdrawal,
    WordsOut,
)
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.core.errors import Conflict, NotFound, PhoneNotProven, wrong
from walletsvc.core.ids import PUBLIC_ID
from walletsvc.messaging.proving.agreeing import proves
from walletsvc.messaging.proving.models import PhoneProof, ProofPurpose
from walletsvc.messaging.proving.service import use
from walletsvc.people.consents import service
from walletsvc.people.consents.models import Consent, ConsentText, Way
from walletsvc.people.models import Person, PersonPhone, Phone


def list_texts(call: Call) -> ConsentTextList:
    """What people are asked to agree to now."""
    found = service.current_texts(call.session, call.key.organisation_id, call.now)
    return ConsentTextList(items=[_text(each) for each in found.values()])


def read_text(call: Call) -> ConsentTextOut:
    """One version."""
    text_id = call.path["text_id"]
    found = None
    if PUBLIC_ID.fullmatch(text_id):
        found = service.find_text(call.session, call.key.organisation_id, text_id)
    if found is None:
        raise NotFound("There is no such text.")
    return _text(found)


def publish_text(call: Call) -> ConsentTextOut:
    """The next version."""
    body: NewConsentText = call.body
    return _text(
        service.publish_text(
            call.session,
            organisation_id=call.key.organisation_id,
            purpose=body.purpose,
            title=_words(body.title),
            body=_words(body.body),
            actor=call.actor,
            now=call.now,
        )
    )


def list_consents(call: Call) -> ConsentList:
    """Everything a person ever agreed to."""
    return _list(call, service.history(call.session, _person(call).id))


def give(call: Call) -> ConsentList:
    """Write an agreement down."""
    body: NewConsent = call.body
    person = _person(call)
    text = None
    if PUBLIC_ID.fullmatch(body.text):
        text = service.find_text(call.session, call.key.organisation_id, body.text)
    if text is None:
        raise wrong("text", "is not a text of yours", "unknown")
    proof = _proof(call, person, body)
    if proof is not None and not proves(proof, text):
        raise wrong("proof", "was begun without `advertising`", "not_allowed")
    given = service.give(
        call.session,
        person,
        text=text,
        channels=body.channels,
        way=Way(body.way),
        language=body.language or person.language,
        phone=proof.phone if proof is not None else body.phone,
        proof_id=proof.id if proof is not None else None,
        actor=call.actor,
        now=call.now,
    )
    return _list(call, given)


def withdraw(call: Call) -> ConsentList:
    """Take an agreement back."""
    query: Withdrawal = call.query
    ended = service.withdraw(
        call.session,
        _person(call),
        purpose=query.purpose,
        channel=query.channel,
        way=Way(query.way),
        actor=call.actor,
        now=call.now,
    )
    return _list(call, ended)


def _person(call: Call) -> Person:
    person_id, found = call.path["person_id"], None
    if PUBLIC_ID.fullmatch(person_id):
        found = call.session.exec(
            select(Person).where(
                Person.public_id == person_id,
                Person.organisation_id == call.key.organisation_id,
            )
        ).first()
    if found is None:
        raise NotFound("There is no such person.")
    return found


def _proof(call: Call, person: Person, body: NewConsent) -> PhoneProof | None:
    """The proof that the body names, used up. A stranger's phone proves nothing of this person."""
    if body.proof is None:
        return None
    proof = use(
        call.session,
        body.proof,
        purpose=ProofPurpose.TILL,
        subject=proofs.subject(call),
        phone=body.phone,
        now=call.now,
    )
    theirs = (
        select(Phone.id)
        .join(PersonPhone, col(PersonPhone.phone_id) == col(Phone.id))
        .where(PersonPhone.person_id == person.id, Phone.e164 == proof.phone)
    )
    if call.session.exec(theirs).first() is None:
        raise wrong("proof", "is of a phone that is not this person's", "not_allowed")
    return proof


def _words(given: BaseModel) -> dict[str, str]:
    return {language: words for language, words in given if words is not None}


def _text(found: ConsentText) -> ConsentTextOut:
    return ConsentTextOut(
        id=found.public_id,
        purpose=found.purpose,
        version=found.version,
        title=WordsOut(ru=found.title.get("ru"), en=found.title.get("en")),
        body=WordsOut(ru=found.body.get("ru"), en=found.body.get("en")),
        digest=found.digest.hex(),
        actor=found.actor,
        published_at=found.published_at,
        retired_at=found.retired_at,
    )


def _list(call: Call, consents: Sequence[Consent]) -> ConsentList:
    texts = {
        each.id: each
        for each in call.session.exec(
            select(ConsentText).where(col(ConsentText.id).in_({row.text_id for row in consents}))
        )
    }
    wanted = {row.proof_id for row in consents if row.proof_id is not None}
    proven = dict(
        call.session.exec(
            select(PhoneProof.id, PhoneProof.public_id).where(col(PhoneProof.id).in_(wanted))
        ).all()
    )
    return ConsentList(
        items=[_consent(row, texts[row.text_id], proven.get(row.proof_id or 0)) for row in consents]
    )


def _consent(row: Consent, text: ConsentText, proof: str | None) -> ConsentOut:
    return ConsentOut(
        id=row.public_id,
        purpose=row.purpose,
        channel=row.channel,
        text=text.public_id,
        text_version=text.version,
        text_digest=text.digest.hex(),
        way=row.way,
        language="en" if row.language == "en" else "ru",
        phone=row.phone,
        proof=proof,
        actor=row.actor,
        given_at=row.given_at,
        withdrawn_at=row.withdrawn_at,
        withdrawn_way=row.withdrawn_way,
        withdrawn_actor=row.withdrawn_actor,
    )


_TEXT_ID: Final = "5b7d9f1h3k5n7q9s1v3x"
_DIGEST: Final = "9f2c4e60a1b3d5f7089a1c2e4f6081a3b5c7d9e0f2143658798badcfe0213540"
_TEXT: Final[dict[str, Any]] = {
    "id": _TEXT_ID,
    "purpose": "advertising",
    "version": 2,
    "title": {"ru": "Согласие на получение рекламы", "en": None},
    "body": {"ru": "Я согласен получать рекламу от ООО «Кофе»…", "en": None},
    "digest": _DIGEST,
    "actor": "api-key:4m6p8r0t2w4y6a8c0e2g",
    "published_at": "2026-11-20T10:15:42Z",
    "retired_at": None,
}
_CONSENT: Final[dict[str, Any]] = {
    "id": "1c3e5g7j9m1p3r5t7w9y",
    "purpose": "advertising",
    "channel": "sms",
    "text": _TEXT_ID,
    "text_version": 2,
    "text_digest": _DIGEST,
    "way": "till",
    "language": "ru",
    "phone": "+79001234567",
    "proof": "8q2w4e6r0t1y3v5x7z9b",
    "actor": "api-key:4m6p8r0t2w4y6a8c0e2g",
    "given_at": "2026-11-20T10:15:42Z",
    "withdrawn_at": None,
    "withdrawn_way": None,
    "withdrawn_actor": None,
}
_ENDED: Final = {
    "withdrawn_at": "2026-11-25T08:00:00Z",
    "withdrawn_way": "crm",
    "withdrawn_actor": "api-key:4m6p8r0t2w4y6a8c0e2g",
}
_PERSON_PATH: Final = {"person_id": "The person's id, as a card names its holder."}
_TAG: Final = "Consents"

OPERATIONS: Final = (
    Operation(
        id="listConsentTexts",
        method="GET",
        path="/consent-texts",
        tag=_TAG,
        scope=Scope.CONSENTS_READ,
        summary="List the texts of consents",
        description="The current version of each purpose. Processing of data and advertising are "
        "agreed to separately, each by a text of its own. Until you publish yours they are those "
        "that come with walletsvc.",
        handler=list_texts,
        answer=ConsentTextList,
        answer_example={"items": [_TEXT]},
        keeps=True,
    ),
    Operation(
        id="readConsentText",
        method="GET",
        path="/consent-texts/{text_id}",
        tag=_TAG,
        scope=Scope.CONSENTS_READ,
        summary="Read a version of a text",
        description="Also one that was replaced: who agreed to it agreed to these words.",
        handler=read_text,
        answer=ConsentTextOut,
        answer_example=_TEXT,
        path_parameters={"text_id": "The id of the version, as a consent names it."},
    ),
    Operation(
        id="publishConsentText",
        method="POST",
        path="/consent-texts",
        tag=_TAG,
        scope=Scope.CONSENTS_WRITE,
        summary="Publish a text",
        description="The next version of a purpose, from now on. Earlier versions and the "
        "agreements to them stay. The same words again are no new version.",
        handler=publish_text,
        status=201,
        body=NewConsentText,
        body_example={
            "purpose": "advertising",
            "title": {"ru": "Согласие на получение рекламы"},
            "body": {"ru": "Я согласен получать рекламу от ООО «Кофе»…"},
        },
        answer=ConsentTextOut,
        answer_example=_TEXT,
        key=KeyRule.OPTIONAL,
    ),
    Operation(
        id="listConsents",
        method="GET",
        path="/persons/{person_id}/consents",
        tag=_TAG,
        scope=Scope.CONSENTS_READ,
        summary="List a person's consents",
        description="Everything they ever agreed to: version, time, door, phone, proof, who wrote "
        "it down, and withdrawals. This is the record to show when somebody asks.",
        handler=list_consents,
        answer=ConsentList,
        answer_example={"items": [_CONSENT]},
        path_parameters=_PERSON_PATH,
    ),
    Operation(
        id="giveConsent",
        method="POST",
        path="/persons/{person_id}/consents",
        tag=_TAG,
        scope=Scope.CONSENTS_WRITE,
        summary="Write down a consent",
        description="To data processing, or to advertising by the channels named. What they agreed "
        "to before stays as it is; an agreement to another version ends, and one without a proof "
        "when this has one. A text that was replaced more than a day ago is refused with 409.",
        handler=give,
        status=201,
        body=NewConsent,
        body_example={
            "text": _TEXT_ID,
            "channels": ["sms"],
            "way": "till",
            "proof": "8q2w4e6r0t1y3v5x7z9b",
        },
        answer=ConsentList,
        answer_example={"items": [_CONSENT]},
        key=KeyRule.OPTIONAL,
        problems=(Conflict, PhoneNotProven),
        path_parameters=_PERSON_PATH,
    ),
    Operation(
        id="withdrawConsent",
        method="DELETE",
        path="/persons/{person_id}/consents",
        tag=_TAG,
        scope=Scope.CONSENTS_WRITE,
        summary="Withdraw a consent",
        description="At once. The answer has what ended; nothing, when nothing stood. Withdrawing "
        "`data` ends advertising too.",
        handler=withdraw,
        query=Withdrawal,
        answer=ConsentList,
        answer_example={"items": [_CONSENT | _ENDED]},
        path_parameters=_PERSON_PATH,
    ),
)
