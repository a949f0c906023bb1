"""What was typed into the form, kept as it was typed, and what the product makes of it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from typing import Final

from werkzeug.datastructures import MultiDict

from walletsvc.core.errors import FieldError, InputError
from walletsvc.enrolment.forms import ApplicationForm
from walletsvc.people.consents.models import ConsentChannel

# Longer than any field may be: what is longer is cut, and found too long.
_LONGEST: Final = 300
# The order in which the page shows them: the first wrong one gets the focus.
ORDER: Final = (
    "phone", "first_name", "last_name", "birthday", "email", "plastic_number", "data_text",
    "advertising_text",
)  # fmt: skip


@dataclass(frozen=True)
class Typed:
    """The form's fields as text. `nonce` is the page's own: what is sent twice counts once."""

    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    source: str = ""
    phone: str = ""
    first_name: str = ""
    last_name: str = ""
    birthday_day: str = ""
    birthday_month: str = ""
    birthday_year: str = ""
    email: str = ""
    plastic_number: str = ""
    data_text: str = ""
    advertising_text: str = ""
    channels: tuple[str, ...] = ()

    @classmethod
    def read(cls, sent: MultiDict[str, str]) -> Typed:
        """What a browser sent; NUL, which no database takes, is left out."""
        names = [each.name for each in fields(cls) if each.name != "channels"]
        texts = {name: _text(sent[name]) for name in names if name in sent}
        return cls(**texts, channels=tuple(_text(each) for each in sent.getlist("channels")))

    def form(self) -> ApplicationForm:
        """The form as the product reads it; raises InputError for a birthday that is no day."""
        return ApplicationForm(
            phone=self.phone,
            first_name=self.first_name,
            last_name=self.last_name,
            birthday=self.birthday(),
            email=self.email.strip() or None,
            data_text=self.data_text or None,
            advertising_text=self.advertising_text or None,
            channels=tuple(channel for channel in ConsentChannel if channel.value in self.channels),
            plastic_number=self.plastic_number,
        )

    def without_consents(self) -> Typed:
        """The same with nothing agreed to, on a page of its own."""
        return replace(self.anew(), data_text="", channels=())

    def without_birthday(self) -> Typed:
        """The same as if no birthday had been typed."""
        return replace(self, birthday_day="", birthday_month="", birthday_year="")

    def anew(self) -> Typed:
        """The same on a page of its own."""
        return replace(self, nonce=secrets.token_urlsafe(24))

    def birthday(self) -> date | None:
        """The day; None when nothing was typed. Raises InputError for what is no day."""
        parts = [each.strip() for each in
                 (self.birthday_year, self.birthday_month, self.birthday_day)]  # fmt: skip
        if not any(parts):
            return None
        day = _day(*parts)
        if day is None:
            message = "must be a day, month and year"
            wrong = FieldError("birthday", message, "invalid_date")
            raise InputError(f"birthday: {message}.", (wrong,))
        return day


def _day(year: str, month: str, day: str) -> date | None:
    if not all(part.isascii() and part.isdigit() for part in (year, month, day)):
        return None
    try:
        return date(int(year), int(month), int(day))
    except (ValueError, OverflowError):
        return None


def in_order(errors: Mapping[str, str]) -> dict[str, str]:
    """The errors in the order of the page."""
    known = [name for name in ORDER if name in errors]
    return {name: errors[name] for name in [*known, *(n for n in errors if n not in known)]}


def _text(text: str) -> str:
    return text.replace("\0", "")[:_LONGEST].encode("utf-8", "replace").decode()
