"""How the pages of an account are answered: nobody keeps, frames, or passes them on."""

from __future__ import annotations

from typing import Final

from flask import Response, redirect, session
from werkzeug.wrappers import Response as WsgiResponse

from walletsvc.storefront.private import private
from walletsvc.web.i18n import translated as _

_SAID: Final = "account_said"
# The page with the live code has a script that fetches the next one.
_SCRIPTED: Final = (
    "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def answer(
    page: str | WsgiResponse, status: int | None = None, *, script: bool = False
) -> Response:
    """The answer with the headers of private pages."""
    response = private(page, status)
    response.headers["Referrer-Policy"] = "no-referrer"
    if script:
        response.headers["Content-Security-Policy"] = _SCRIPTED
    return response


def go(address: str) -> Response:
    """On to another page of ours."""
    return answer(redirect(address, 303))


def say(key: str) -> None:
    """Have the page that is shown next say what was done."""
    session[_SAID] = key


def said() -> str:
    """What was done just now, in words; empty for nothing. It is said once."""
    match session.pop(_SAID, None):
        case "consents":
            return str(_("Saved, and in effect from now on."))
        case "language":
            return _("Saved. Messages and the card in your wallet speak this language now.")
        case "phone":
            return _("Your phone is changed. All other devices are logged out.")
        case "device":
            return _("Logged out there.")
        case "devices":
            return _("Logged out on all other devices.")
        case "added":
            return _("The gift card is with your card now.")
        case "removed":
            return _("Removed from here. The gift card itself is as it was.")
        case _:
            return ""


def stale() -> str:
    """That a form did not come from a page of ours that is still valid."""
    return str(
        _("This page was open for very long, or your browser keeps no cookies. Please try again.")
    )
