"""What the calls about a person's phone read and answer."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from walletsvc.api.schemas import Input, Moment, Output, PublicId, check_reason
from walletsvc.people.schemas import PhoneNumber


class NewPhoneChange(Input):
    """Another phone for somebody who cannot prove the old one."""

    former: PhoneNumber | None = Field(
        None, description="The phone that goes, as the customer names it. Who has none gets one."
    )
    phone: PhoneNumber
    proof: PublicId | None = Field(
        None,
        description="A proof of the new phone with the purpose `till`; it is used up. Without one "
        "the new phone is not proven until its holder logs in by it.",
    )
    shared: bool = Field(
        False,
        strict=True,
        description="Other persons have the new phone, too: a family's. It stays theirs.",
    )
    mistyped: bool = Field(
        False,
        strict=True,
        description="The former number was never the customer's: whoever has it is not told. Not "
        "for a phone that was proven.",
    )
    employee: PublicId | None = Field(None, description="Who of the staff changes it.")
    reason: Annotated[str, AfterValidator(check_reason)] = Field(
        min_length=1, max_length=200, description="Why; the history shows it."
    )


class PhoneChangeOut(Output):
    """A phone that took another one's place. Of phones only the ends are told."""

    id: PublicId | None = Field(description="Null in a dry run.")
    person: PublicId
    former: str | None
    phone: str
    proven: bool = Field(description="The new phone was proven by then.")
    told: bool = Field(description="The former phone was written to.")
    reason: str = Field(description="Empty when the customer did it by themselves.")
    employee: str | None
    actor: str
    changed_at: Moment
    dry_run: bool


class PhoneChangeList(Output):
    """All changes of a person's phones, the newest first."""

    items: list[PhoneChangeOut]
