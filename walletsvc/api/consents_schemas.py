"""What the calls about consents read and answer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from walletsvc.api.schemas import Input, Moment, Output, PublicId
from walletsvc.people.consents.models import ConsentChannel, Purpose, Way
from walletsvc.people.consents.rules import BODY_LENGTH, TITLE_LENGTH
from walletsvc.people.schemas import PersonLanguage, PhoneNumber


class TitleIn(Input):
    """A title in one or both languages."""

    ru: str | None = Field(None, max_length=TITLE_LENGTH)
    en: str | None = Field(None, max_length=TITLE_LENGTH)


class BodyIn(Input):
    """A text in one or both languages; an empty line begins a paragraph."""

    ru: str | None = Field(None, max_length=BODY_LENGTH)
    en: str | None = Field(None, max_length=BODY_LENGTH)


class NewConsentText(Input):
    """The words people are asked to agree to from now on."""

    purpose: Purpose
    title: TitleIn
    body: BodyIn = Field(description="In the same languages as the title.")


class WordsOut(Output):
    """Words by language; null where there are none."""

    ru: str | None
    en: str | None


class ConsentTextOut(Output):
    """One version of a text; it never changes."""

    id: PublicId
    purpose: Purpose
    version: int
    title: WordsOut
    body: WordsOut
    digest: str = Field(description="SHA-256 over purpose and words, in hexadecimal.")
    actor: str = Field(description="Who published it: kind and public id.")
    published_at: Moment
    retired_at: Moment | None = Field(description="When a newer version took its place.")


class ConsentTextList(Output):
    """One text per purpose."""

    items: list[ConsentTextOut]


class NewConsent(Input):
    """A person agreed to a text."""

    text: PublicId = Field(description="The version that they read.")
    channels: list[ConsentChannel] = Field(
        [], max_length=5, description="Of advertising: by which channels it may come."
    )
    way: Literal["till", "bot", "crm", "import", "staff", "form"] = Field(
        description="By which door the agreement came."
    )
    language: PersonLanguage | None = Field(
        None, description="In which language they read it; without it, the person's."
    )
    phone: PhoneNumber | None = Field(None, description="The phone it was given with.")
    proof: PublicId | None = Field(
        None,
        description="A proof of the purpose `till`, of a phone of this person; it is used up.",
    )


class Withdrawal(Input):
    """What is taken back."""

    purpose: Purpose = Field(description="`data` ends advertising too.")
    channel: ConsentChannel | None = Field(
        None, description="Of advertising: one channel; without it, all."
    )
    way: Literal["till", "bot", "crm", "import", "staff", "form"] = Field(
        description="By which door the withdrawal came."
    )


class ConsentOut(Output):
    """An agreement, and its end if it has one."""

    id: PublicId
    purpose: Purpose
    channel: ConsentChannel | None
    text: PublicId
    text_version: int
    text_digest: str
    way: Way
    language: PersonLanguage
    phone: str | None
    proof: PublicId | None = Field(description="The proof that the phone was in their hand.")
    actor: str = Field(description="Who wrote it down: kind and public id.")
    given_at: Moment
    withdrawn_at: Moment | None
    withdrawn_way: Way | None
    withdrawn_actor: str | None


class ConsentList(Output):
    """In the order in which they were given."""

    items: list[ConsentOut]
