"""Which application a browser works on, for each programme: kept in its session."""

from __future__ import annotations

from typing import Final

from flask import session

_KEPT: Final = 5  # programmes; a cookie is small
_NAME: Final = "join"
_PLASTIC: Final = "join_plastic"


def keep(slug: str, application: str) -> None:
    """The browser works on this application of the programme from now on."""
    known = {key: value for key, value in _all().items() if key != slug}
    session[_NAME] = dict([*list(known.items())[-(_KEPT - 1) :], (slug, application)])


def recall(slug: str) -> str | None:
    """The application that the browser works on."""
    return _all().get(slug)


def note_plastic_refused() -> None:
    """The plastic card that was named could not be given."""
    session[_PLASTIC] = True


def is_plastic_refused() -> bool:
    """Whether the page shown next should say so; it does once."""
    return bool(session.pop(_PLASTIC, False))


def _all() -> dict[str, str]:
    found = session.get(_NAME)
    return found if isinstance(found, dict) else {}
