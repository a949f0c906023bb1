"""Proving phones: a code that the customer dictates, or another way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from walletsvc.access.rules import Scope
from walletsvc.api.operations import Call, KeyRule, Operation
from walletsvc.api.proofs_schemas import (
    ContactOutcome,
    NewProof,
    ProofCode,
    ProofOut,
    ProofState,
    ProofStatus,
    SharedContact,
)
from walletsvc.core.errors import NotFound, TooManyTries, Unavailable, wrong
from walletsvc.enrolment import settings
from walletsvc.messaging.proving import service, ways
from walletsvc.messaging.proving.models import ProofPurpose, Route
from walletsvc.messaging.proving.service import Checked
from walletsvc.people.consents import texts
from walletsvc.people.consents.models import ConsentText, Purpose
from walletsvc.people.consents.service import current_texts
from walletsvc.programmes.models import Programme
from walletsvc.programmes.service import find_programme


def subject(call: Call) -> str:
    """Who asks: the organisation, by any of its keys. Tills of one shop are no strangers."""
    return f"key:{call.key.organisation_id}"


def create_proof(call: Call) -> ProofOut:
    """Send a code, or wait for a call or a contact."""
    body: NewProof = call.body
    try:
        programme = find_programme(call.session, call.key.organisation_id, body.programme)
    except NotFound:
        raise wrong("programme", "is not a programme of yours", "unknown") from None
    purpose = ProofPurpose(body.purpose)
    named = _texts(call, body)
    started = service.begin(
        call.session,
        organisation_id=programme.organisation_id,
        programme_id=programme.id,
        purpose=purpose,
        phone=body.phone,
        subject=subject(call),
        route=body.route,
        language=body.language,
        now=call.now,
        values=_values(call, programme, named, body.language),
        texts=[each.public_id for each in named],
    )
    return ProofOut(
        id=started.proof,
        route=started.route,
        expires_at=started.expires_at,
        resend_at=started.resend_at,
        call_to=started.call_to,
        token=started.token,
    )


def try_code(call: Call) -> ProofState:
    """Try a code. A wrong one is an answer, not an error: the try must be kept."""
    body: ProofCode = call.body
    checked = service.try_code(
        call.session, call.path["proof_id"], subject=subject(call), code=body.code, now=call.now
    )
    return ProofState(**_state(checked))


def share_contact(call: Call) -> ContactOutcome:
    """A messenger's bot tells whose contact it was shared."""
    body: SharedContact = call.body
    proven = ways.contact_shared(
        call.session,
        organisation_id=call.key.organisation_id,
        token=body.token,
        phone=body.phone,
        now=call.now,
    )
    return ContactOutcome(proven=proven)


def read_proof(call: Call) -> ProofStatus:
    """How it stands."""
    proof = call.path["proof_id"]
    shown = service.shown(call.session, proof, subject=subject(call))
    checked = service.status(call.session, proof, subject=subject(call), now=call.now)
    return ProofStatus(
        **_state(checked),
        route=shown.route,
        expires_at=shown.expires_at,
        resend_at=shown.resend_at,
        call_to=shown.call_to,
    )


def _state(checked: Checked) -> dict[str, Any]:
    return {"state": checked.outcome, "tries_left": checked.tries_left}


def _values(
    call: Call, programme: Programme, named: Sequence[ConsentText], language: str
) -> Mapping[str, str]:
    """At a till the message says what the code agrees to, and where to read it in full."""
    if not named:
        return {}
    data, *more = [f"{call.deps.settings.base_url}/consents/{each.public_id}" for each in named]
    own = settings.of(call.session, programme).till_text.get(language)
    words = own.replace("{link}", data) if own else texts.at_the_till(language, data)
    return {"consent": words + "".join(texts.and_advertising(language, link) for link in more)}


def _texts(call: Call, body: NewProof) -> Sequence[ConsentText]:
    """The texts that the message names, that about data first."""
    told = ProofPurpose(body.purpose) is ProofPurpose.TILL and body.route is Route.SMS
    if body.advertising and not told:
        raise wrong("advertising", "goes with the purpose `till` by `sms`", "not_allowed")
    if not told:
        return ()
    found = current_texts(call.session, call.key.organisation_id, call.now)
    return [found[each] for each in Purpose if each is Purpose.DATA or body.advertising]


PATH: Final = {"proof_id": "The proof's id, as it was answered when it was begun."}
_ID: Final = "8q2w4e6r0t1y3v5x7z9b"
_TIMES: Final = {
    "expires_at": "2026-11-20T10:25:42Z",
    "resend_at": "2026-11-20T10:16:42Z",
}

OPERATIONS: Final = (
    Operation(
        id="createProof",
        method="POST",
        path="/proofs",
        tag="Proofs of phones",
        scope=Scope.PROOFS_WRITE,
        summary="Have a phone proven",
        description="A code of six digits goes to the phone by SMS; it lasts ten minutes and five "
        "tries. Asked again within a minute, the answer is the same proof and nothing is sent. "
        "Whether the phone is somebody's is neither looked at nor told. A phone is sent five codes "
        "an hour and ten a day at most; a programme has a ceiling of its own (429). 503 where no "
        "gateway can do it; the route `messenger` needs none, but a bot of your own.",
        handler=create_proof,
        status=201,
        body=NewProof,
        body_example={"programme": "coffee", "phone": "8 900 123-45-67", "purpose": "till"},
        answer=ProofOut,
        answer_example={"id": _ID, "route": "sms", **_TIMES, "call_to": None, "token": None},
        key=KeyRule.OPTIONAL,
        problems=(TooManyTries, Unavailable),
    ),
    Operation(
        id="tryProofCode",
        method="POST",
        path="/proofs/{proof_id}/code",
        tag="Proofs of phones",
        scope=Scope.PROOFS_WRITE,
        summary="Try a code",
        description="Every try counts, whatever it was. A wrong code is answered with 200 and "
        "`wrong`. The proof is then given to the call it is for, within half an hour; that uses it "
        "up. A phone's codes can be tried 15 times an hour in vain, over all its proofs (429).",
        handler=try_code,
        body=ProofCode,
        body_example={"code": "481 226"},
        answer=ProofState,
        answer_example={"state": "proven", "tries_left": 4},
        problems=(TooManyTries,),
        path_parameters=PATH,
    ),
    Operation(
        id="shareContact",
        method="POST",
        path="/proofs/contacts",
        tag="Proofs of phones",
        scope=Scope.PROOFS_VOUCH,
        summary="Tell that a contact was shared with a bot",
        description="For the organisation's own bot in a messenger, and for nothing else: whoever "
        "may call this can prove any phone. It was started with the `token` of a proof by the "
        "route `messenger`, and the messenger itself vouches that the phone is the account's own. "
        "The proof counts from then on. Told again, the answer is false and nothing changes.",
        handler=share_contact,
        body=SharedContact,
        body_example={"token": "mQ3fX0bT7yVh2KpLr9sWc4Ne8ZaUj6Dg", "phone": "+79001234567"},
        answer=ContactOutcome,
        answer_example={"proven": True},
    ),
    Operation(
        id="readProof",
        method="GET",
        path="/proofs/{proof_id}",
        tag="Proofs of phones",
        scope=Scope.PROOFS_WRITE,
        summary="See how a proof stands",
        description="For ways without a code: the number to ring, and whether it was rung.",
        handler=read_proof,
        answer=ProofStatus,
        answer_example={
            "state": "waiting",
            "tries_left": 5,
            "route": "call",
            **_TIMES,
            "call_to": "+78005550000",
        },
        path_parameters=PATH,
    ),
)
