"""What may be said about a person from outside."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from walletsvc.core.errors import InputError
from walletsvc.merchants.rules import check_text
from walletsvc.people.rules import check_email, normalise_phone


def _phone(text: str) -> str:
    try:
        return normalise_phone(text)
    except InputError as error:
        raise _as_schema_error(error) from None


def _name(text: str) -> str:
    try:
        return check_text("name", text, 80)
    except InputError as error:
        raise _as_schema_error(error) from None


def _email(text: str) -> str:
    try:
        return check_email(text)
    except InputError as error:
        raise _as_schema_error(error) from None


def _as_schema_error(error: InputError) -> PydanticCustomError:
    item = error.fields[0]
    return PydanticCustomError(item.code, "{message}", {"message": item.message})


PhoneNumber = Annotated[
    str,
    Field(
        max_length=40,
        description="A phone as people write it; kept in E.164. Without a plus it is read as "
        "dialled in Russia: 8…, 7… and the bare ten digits are the same phone.",
    ),
    AfterValidator(_phone),
]
Name = Annotated[str, Field(min_length=1, max_length=80), AfterValidator(_name)]
EmailAddress = Annotated[str, Field(max_length=254), AfterValidator(_email)]
PersonLanguage = Literal["ru", "en"]
