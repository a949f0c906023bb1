"""The page on which a code is typed, or a call is waited for, whatever it is to prove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from flask_babel import ngettext

from walletsvc.messaging.proving.models import Route
from walletsvc.messaging.proving.service import Checked, Outcome, Started
from walletsvc.people.rules import masked_phone, readable_phone
from walletsvc.web.i18n import translated as _

_REFRESH: Final = 5  # seconds: a call is noticed by asking again


def page(
    started: Started, outcome: Outcome, phone: str, routes: Sequence[Route], *, action: str,
    again: str, start: str, told: str = "",
) -> dict[str, Any]:  # fmt: skip
    """What its template needs. `told` says where the code went, instead of the plain words."""
    masked = whole(masked_phone(phone))
    called = started.route is Route.CALL
    proven = outcome is Outcome.PROVEN
    step = "proven" if proven else "call" if called else "code"
    headings = {
        "code": _("Enter the code"),
        "call": _("Call to confirm"),
        "proven": _("Number confirmed"),
    }
    return {
        "step": step,
        "heading": str(headings[step]),
        "phone": masked,
        "told": told or _("We have sent it by SMS to %(phone)s.", phone=masked),
        "call_to": started.call_to or "",
        "call_shown": readable_phone(started.call_to) if started.call_to else "",
        "refresh": _REFRESH if step == "call" else 0,
        "ways": _ways(started.route, routes),
        "action": action,
        "again": again,
        "start": start,
        "notice": standing(outcome),
        "error": "",
    }


def whole(phone: str) -> str:
    """A phone that is not broken over two lines."""
    return phone.replace(" ", "\N{NO-BREAK SPACE}")


def standing(outcome: Outcome) -> str:
    """What to say of a proof that cannot be finished any more; empty for the others."""
    match outcome:
        case Outcome.EXPIRED | Outcome.USED:
            return _("The code has expired. Have a new one sent.")
        case Outcome.SPENT:
            return _("That was the last try for this code. Have a new one sent.")
        case _:
            return ""


def trouble(checked: Checked) -> str:
    """Why the code that was typed is not taken; empty when there is nothing to say."""
    if checked.outcome is Outcome.WRONG and checked.tries_left:
        return str(
            ngettext(
                "This is not the code. You can try %(num)s more time.",
                "This is not the code. You can try %(num)s more times.",
                checked.tries_left,
            )
        )
    if checked.outcome is Outcome.WRONG:
        return _("This is not the code. Have a new one sent.")
    if checked.outcome is Outcome.WAITING:
        return _("Not yet: please type the code, or make the call.")
    return standing(checked.outcome)


def _ways(now: Route, routes: Sequence[Route]) -> list[tuple[str, str]]:
    """The same once more where that helps, and the others there are."""
    offered = []
    for route in routes:
        if route is Route.SMS:
            again = _("Send a new code") if now is Route.SMS else _("Get a code by SMS instead")
            offered.append((route.value, str(again)))
        elif route is Route.CALL and now is not Route.CALL:
            offered.append((route.value, _("Confirm by a call instead")))
    return offered
