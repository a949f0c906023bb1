"""What the calls about taking people in read and answer."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from walletsvc.api.schemas import Input, Moment, Output, PublicId
from walletsvc.enrolment.settings import TILL_TEXT_LENGTH, Presence
from walletsvc.messaging.proving.models import Route
from walletsvc.people.schemas import EmailAddress, PersonLanguage, PhoneNumber

Words = Annotated[str, StringConstraints(min_length=1, max_length=TILL_TEXT_LENGTH)]


class FormFields(Input):
    """Whether the form has a field, and whether it may stay empty. Phone and first name are
    always there."""

    last_name: Presence
    birthday: Presence
    email: Presence


class TillText(Input):
    """What a message with a code says at a till about consent; `{link}` is where the text is in
    full. Without it the shipped words are used."""

    ru: Words | None = None
    en: Words | None = None


class EnrolmentRules(Input):
    """How the programme takes people in from now on: all of it, as a GET answers it."""

    open: bool = Field(description="Whether anybody can join by the public form.")
    verified_only: bool = Field(
        description="Whether a card brings nothing until its holder has proved a phone: it earns "
        "nothing, has no discounts, and cannot spend (`not_verified`). Also of cards there are.",
    )
    unproven: bool = Field(
        description="Whether `POST /members` may register a phone that is not proven yet.",
    )
    card_link: bool = Field(
        description="Whether who proved a phone is sent the card's address by SMS."
    )
    fields: FormFields
    routes: list[Route] = Field(
        min_length=1,
        max_length=3,
        description="The ways of proving a phone, in the order in which they are offered.",
    )
    till_text: TillText


class EnrolmentOut(Output):
    """How the programme takes people in."""

    programme: str
    open: bool
    join_url: str = Field(description="The form, for whoever has no short link.")
    verified_only: bool
    unproven: bool
    card_link: bool
    fields: FormFields
    routes: list[Route]
    till_text: TillText


class NewSource(Input):
    """A place where people meet the form."""

    branch: PublicId | None = Field(None, description="Where it is; its employee is told.")
    campaign: str = Field("", max_length=80, description="For which campaign.")
    label: str = Field("", max_length=120, description="What it is, such as a poster by the door.")


class SourceOut(Output):
    """A source and its short link."""

    id: PublicId
    code: str
    url: str = Field(description="The short link, for posters and posts.")
    branch: str | None
    campaign: str
    label: str
    created_at: Moment
    closed_at: Moment | None


class CountedSource(SourceOut):
    """A source, and what came of it."""

    applications: int = Field(description="Forms sent in.")
    given_up: int = Field(description="Of them, how many never proved the phone.")
    cards: int = Field(description="Cards issued.")


class SourceList(Output):
    """Newest first."""

    items: list[CountedSource]


class NewStaff(Input):
    """Somebody who works for the organisation."""

    name: str = Field(min_length=1, max_length=120)
    phone: PhoneNumber | None = None
    email: EmailAddress | None = None
    language: PersonLanguage = Field("ru", description="The language of notices to them.")


class StaffOut(Output):
    """An employee."""

    id: PublicId
    name: str
    phone: str | None
    email: str | None
    language: PersonLanguage
    created_at: Moment
    closed_at: Moment | None = Field(description="When they were let go.")


class StaffList(Output):
    """In the order of their coming."""

    items: list[StaffOut]
    next_cursor: str | None = Field(description="Null on the last piece.")
