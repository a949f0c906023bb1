"""What enrolment keeps: whose birthday was thought of."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from walletsvc.storage.columns import moment, reference


class BirthdayGift(SQLModel, table=True):
    """A card got its points for the birthday of this year; the row goes in with them."""

    __tablename__ = "birthday_gifts"

    card_id: int = reference("cards.id", index=False, primary_key=True)
    year: int = Field(primary_key=True)
    given_at: datetime = moment()
