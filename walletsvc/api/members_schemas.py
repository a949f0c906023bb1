"""What the calls about members read and answer."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from walletsvc.api.schemas import CardRef, Input, Moment, Output, PersonOut, PublicId, Slug
from walletsvc.people.consents.models import ConsentChannel
from walletsvc.people.schemas import EmailAddress, Name, PersonLanguage, PhoneNumber

MOST_FOUND = 50


class DataConsentIn(Input):
    """The text about the processing of data that the person agreed to."""

    text: PublicId


class AdvertisingConsentIn(Input):
    """The text about advertising that the person agreed to, and for which channels."""

    text: PublicId
    channels: list[ConsentChannel] = Field(min_length=1, max_length=5)


class ConsentsIn(Input):
    """What the person agreed to on the way in, each by itself."""

    data: DataConsentIn | None = None
    advertising: AdvertisingConsentIn | None = None


class NewMember(Input):
    """A person who joins a programme."""

    programme: Slug = Field(description="The programme's short name.")
    phone: PhoneNumber
    first_name: Name
    last_name: Name | None = None
    birthday: date | None = None
    email: EmailAddress | None = None
    language: PersonLanguage = Field("ru", description="The language of the card.")
    proof: PublicId | None = Field(
        None,
        description="A proof of this phone with the purpose `till`; it is used up. Without one the "
        "card is not verified, which some programmes want before it brings anything, and some want "
        "before they issue one. `consents.data` goes with it.",
    )
    consents: ConsentsIn | None = None
    employee: PublicId | None = Field(
        None, description="Who of the staff registers: their word is the consent's."
    )
    responsible: PublicId | None = Field(
        None, description="Who of the staff is told of what concerns this person."
    )
    source: str | None = Field(None, max_length=12, description="The short code of a source.")
    send_link: bool | None = Field(
        None,
        description="Send the holder the card's address, by SMS or e-mail. Without it: if a proof "
        "is given and the programme does so.",
    )


class Member(Output):
    """A new member. The addresses hold a token of the holder: they are secrets."""

    card: CardRef
    person: PersonOut
    page_url: str = Field(description="The card's page, to be sent to the holder.")
    apple_url: str = Field(description="The pass for Apple Wallet.")
    google_url: str | None = Field(description="Into Google Wallet; null where it is not offered.")
    verified_at: Moment | None = Field(description="When the phone was proven.")


class NewVerification(Input):
    """The holder of a card proved a phone."""

    proof: PublicId = Field(
        description="A proof with the purpose `till`, of a phone of the holder; who has none gets "
        "this one. It is used up."
    )
    consents: ConsentsIn | None = Field(
        None, description="What the person agreed to with the code: the proof proves this too."
    )


class MemberSearch(Input):
    """Whom to look for: by exactly one of phone, plastic number and name."""

    phone: PhoneNumber | None = None
    plastic_number: str | None = Field(None, min_length=1, max_length=40)
    name: str | None = Field(
        None,
        min_length=2,
        max_length=160,
        description="How the name begins, first and last name in any order. A first name alone "
        "finds those only who gave no last name.",
    )
    birthday: date | None = Field(None, description="With `name`: only who was born on that day.")


class FoundCard(Output):
    """A card of somebody found."""

    id: PublicId
    number: str
    programme: str = Field(description="The programme's short name.")
    verified_at: Moment | None
    closed_at: Moment | None


class FoundMember(Output):
    """A person and their cards. Of phones only the ends are told."""

    person: PersonOut
    birthday: date | None
    phones: list[str] = Field(description="Such as `+7 ••• ••• 45 67`.")
    cards: list[FoundCard]


class MembersFound(Output):
    """A phone may be several people's: a family's."""

    items: list[FoundMember]
    more: bool = Field(description=f"There are more than {MOST_FOUND}: say more of the name.")


class PersonChange(Input):
    """What is known of a person otherwise from now on; what is left out stays."""

    first_name: Name | None = None
    last_name: str | None = Field(None, max_length=80, description="Empty: there is none.")
    birthday: date | None = None
    email: EmailAddress | None = None
    language: PersonLanguage | None = None
    responsible: PublicId | None = Field(None, description="Null: nobody.")


class PersonDetail(PersonOut):
    """A person, without phones."""

    birthday: date | None
    email: str | None
    responsible: str | None = Field(description="The employee who is told of them.")
    created_at: Moment
    closed_at: Moment | None
