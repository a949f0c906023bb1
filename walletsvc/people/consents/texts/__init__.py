"""The texts of consents that come with walletsvc, for shops that have none of their own."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Final

from walletsvc.merchants.models import Organisation
from walletsvc.people.consents.models import Purpose
from walletsvc.people.rules import readable_phone

# Both languages of the service; a shop may word its own in its settings of enrolment.
_TILL: Final = {
    "ru": "Согласие на обработку данных: {link}",
    "en": "Consent to data processing: {link}",
}

_AND_ADVERTISING: Final = {
    "ru": " Согласие на рекламу: {link}",
    "en": " Consent to advertising: {link}",
}


@cache
def _file(purpose: Purpose) -> dict[str, dict[str, str]]:
    found = resources.files(__name__).joinpath(f"{purpose.value}.toml").read_text("utf-8")
    return tomllib.loads(found)


def shipped(purpose: Purpose, organisation: Organisation) -> tuple[dict[str, str], dict[str, str]]:
    """Title and body by language, with the organisation as the operator of the data."""
    website = (organisation.website or "").removeprefix("https://")
    contacts = [each for each in (readable_phone(organisation.phone or ""), website) if each]
    title, body = {}, {}
    for language, words in _file(purpose).items():
        contact = ", ".join(contacts) or words["no_contact"]
        title[language] = words["title"]
        body[language] = (
            words["body"]
            .replace("{operator}", organisation.name)
            .replace("{contact}", contact)
            .strip("\n")
        )
    return title, body


def at_the_till(language: str, link: str) -> str:
    """The short text of an SMS at the till: what its code agrees to, and where it is in full."""
    return _TILL["en" if language == "en" else "ru"].replace("{link}", link)


def and_advertising(language: str, link: str) -> str:
    """What that text goes on with when the code agrees to advertising too."""
    return _AND_ADVERTISING["en" if language == "en" else "ru"].replace("{link}", link)
