"""What enrolment keeps: how programmes take people in, from where, and whose birthday was thought
of."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from walletsvc.core.ids import public_id
from walletsvc.people.consents.models import Way
from walletsvc.storage.columns import EncryptedText, choice, moment, primary_key, reference


class BirthdayGift(SQLModel, table=True):
    """A card got its points for the birthday of this year; the row goes in with them."""

    __tablename__ = "birthday_gifts"

    card_id: int = reference("cards.id", index=False, primary_key=True)
    year: int = Field(primary_key=True)
    given_at: datetime = moment()


class EnrolmentSettings(SQLModel, table=True):
    """How a programme takes people in; without a row, as `settings.DEFAULTS` has it.

    `fields` says of each further field of the form whether it is hidden, optional or required;
    `routes` are the ways of proving a phone, in the order they are offered; `till_text` by
    language is what the message with a code says at a till about consent, instead of the shipped
    words. `unproven`: staff and
    other programs may register somebody whose phone is not proven yet. `card_link`: who proved a
    phone gets the card's address by SMS.
    """

    __tablename__ = "enrolment_settings"

    programme_id: int = reference("programmes.id", index=False, primary_key=True)
    open: bool = Field(default=False)
    unproven: bool = Field(default=True)
    card_link: bool = Field(default=True)
    fields: dict[str, str] = Field(sa_type=JSONB)
    routes: list[str] = Field(sa_type=JSONB)
    till_text: dict[str, str] = Field(sa_type=JSONB)
    actor: str = Field(max_length=120)
    updated_at: datetime = moment()


class JoinSource(SQLModel, table=True):
    """A place where people meet the form: the poster of a branch, a campaign, a link.

    `code` is what the short link ends in; who comes by it is counted here.
    """

    __tablename__ = "join_sources"

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    programme_id: int = reference("programmes.id")
    code: str = Field(unique=True, max_length=12)
    branch_id: int | None = reference("branches.id", nullable=True)
    campaign: str = Field(default="", max_length=80)
    label: str = Field(default="", max_length=120)
    created_at: datetime = moment()
    closed_at: datetime | None = moment(nullable=True)


class ApplicationState(enum.StrEnum):
    """Life of a form that was sent in."""

    WAITING = "waiting"  # for the proof of the phone, or for a choice
    DONE = "done"
    GIVEN_UP = "given_up"  # it ran out


class Application(SQLModel, table=True):
    """A form that somebody sent in and has yet to prove the phone for; one for each `nonce`.

    What was typed lives here, encrypted, only until the card is there or the time is over; then
    nothing personal is left. `proof` is the public id of the proof that is waited for, or that was
    used at `proven_at`: from then on the people of this phone may be shown to who proved it, and
    `proven_with` tells the code by which they did. `plastic_refused`: the number of the plastic
    card in the form is none that this phone can claim.
    """

    __tablename__ = "applications"
    __table_args__ = (
        CheckConstraint(
            "(state = 'done') = (card_id IS NOT NULL)"
            " AND (state = 'waiting') = (completed_at IS NULL)",
            name="state_told",
        ),
        Index("ix_applications_waiting", "expires_at", postgresql_where=text("state = 'waiting'")),
    )

    id: int = primary_key()
    public_id: str = Field(default_factory=public_id, unique=True)
    nonce: str = Field(unique=True, max_length=64)
    programme_id: int = reference("programmes.id")
    source_id: int | None = reference("join_sources.id", nullable=True)
    form: str = Field(sa_type=EncryptedText)
    phone: str = Field(max_length=16)
    proof: str | None = Field(default=None, max_length=20)
    proven_with: str | None = Field(default=None, max_length=64)
    plastic_refused: bool = Field(default=False)
    state: ApplicationState = choice(
        ApplicationState, "application_state", default=ApplicationState.WAITING
    )
    card_id: int | None = reference("cards.id", nullable=True)
    way: Way = choice(Way, "application_way")
    language: str = Field(default="ru", max_length=2)
    created_at: datetime = moment()
    expires_at: datetime = moment()
    proven_at: datetime | None = moment(nullable=True)
    completed_at: datetime | None = moment(nullable=True)


class Registration(SQLModel, table=True):
    """How a card came into being: by which door, where, from which source, and who did it.

    `welcome_due`: what new members get is kept back until the card is verified.
    """

    __tablename__ = "card_registrations"

    card_id: int = reference("cards.id", index=False, primary_key=True)
    source_id: int | None = reference("join_sources.id", nullable=True)
    branch_id: int | None = reference("branches.id", nullable=True)
    way: Way = choice(Way, "card_registration_way")
    actor: str = Field(max_length=120)
    welcome_due: bool = Field(default=False)
    created_at: datetime = moment(index=True)
