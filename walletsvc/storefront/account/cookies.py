"""The cookie that says which log-ins a browser has: several, for a family shares a tablet."""

from __future__ import annotations

import re
from typing import Final

from flask import Response, current_app, request

from walletsvc.people.sessions.service import LIFETIME

NAME: Final = "account"
PATH: Final = "/c"
_MOST: Final = 5
_TOKEN: Final = re.compile(r"[0-9a-f]{64}")


def tokens() -> list[str]:
    """What the browser has, the newest last."""
    found = request.cookies.get(NAME, "").split(".")
    return [each for each in found if _TOKEN.fullmatch(each)][-_MOST:]


def keep(response: Response, token: str) -> None:
    """The browser has this log-in too."""
    others = [each for each in tokens() if each != token]
    _set(response, [*others, token][-_MOST:])


def drop(response: Response, token: str) -> None:
    """The browser has this log-in no longer."""
    _set(response, [each for each in tokens() if each != token])


def _set(response: Response, wanted: list[str]) -> None:
    response.set_cookie(
        NAME,
        ".".join(wanted),
        max_age=LIFETIME if wanted else 0,
        path=PATH,
        secure=bool(current_app.config["SESSION_COOKIE_SECURE"]),
        httponly=True,
        samesite="Lax",
    )
