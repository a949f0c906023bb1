"""What the calls about proofs of phones read and answer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from walletsvc.api.schemas import Input, Moment, Output, PublicId, Slug
from walletsvc.messaging.proving.models import Route
from walletsvc.messaging.proving.service import Outcome
from walletsvc.people.schemas import PersonLanguage, PhoneNumber


class NewProof(Input):
    """Whoever holds this phone is asked to show it."""

    programme: Slug = Field(description="For which programme; its ceiling of messages counts.")
    phone: PhoneNumber
    purpose: Literal["join", "till", "claim", "change_phone", "spend"] = Field(
        description="What the proof is for; it is worth nothing for anything else. `till`: the "
        "customer agrees to the processing of data by telling the code to the cashier."
    )
    route: Route = Field(
        Route.SMS,
        description="`sms`: a code; `call`: they ring a number; `messenger`: they share their "
        "contact with a bot.",
    )
    language: PersonLanguage = Field("ru", description="The language of the message.")
    advertising: bool = Field(
        False,
        description="With `till` by `sms`: the message names the text about advertising too, and "
        "the code agrees to both. Without it the proof proves no consent to advertising.",
    )


class ProofOut(Output):
    """A proof that waits."""

    id: PublicId
    route: Route
    expires_at: Moment
    resend_at: Moment = Field(description="Before this, asking again sends nothing.")
    call_to: str | None = Field(
        description="Route `call`: the number to ring. Null until the gateway has named it: read "
        "the proof again."
    )
    token: str | None = Field(description="Route `messenger`: what the bot is started with.")


class ProofCode(Input):
    """The code that the customer was sent."""

    code: str = Field(max_length=40, description="As typed; spaces and hyphens do not matter.")


class SharedContact(Input):
    """Somebody started the bot with a token and shared their own contact."""

    token: str = Field(min_length=1, max_length=120, description="What the bot was started with.")
    phone: PhoneNumber


class ContactOutcome(Output):
    """What it came to."""

    proven: bool = Field(
        description="False: nobody waits for this phone with this token, or not any more."
    )


class ProofState(Output):
    """How the proof stands."""

    state: Outcome = Field(
        description="`proven`; `wrong`: another code was sent; `waiting`; `expired`; `spent`: no "
        "tries left, ask for another code; `used`."
    )
    tries_left: int


class ProofStatus(ProofState):
    """How the proof stands, and what it waits for."""

    route: Route
    expires_at: Moment
    resend_at: Moment
    call_to: str | None = Field(description="The number to ring, once the gateway named it.")
