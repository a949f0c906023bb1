"""What the pages after the form show: the code, another way, who it is."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session

from walletsvc.enrolment import applications, applying, settings
from walletsvc.enrolment.applications import subject
from walletsvc.enrolment.applying import KnownPerson, Seen
from walletsvc.enrolment.models import ApplicationState
from walletsvc.messaging.proving import service as proving
from walletsvc.messaging.proving.models import Route
from walletsvc.messaging.proving.service import Outcome
from walletsvc.people.rules import readable_phone
from walletsvc.storefront import brand as brands
from walletsvc.web.i18n import translated as _

_REFRESH: Final = 5  # seconds: a call is noticed by asking again


class Step(enum.StrEnum):
    """Where an application stands, as its page shows it."""

    CODE = "code"
    CALL = "call"
    PROVEN = "proven"
    CHOICE = "choice"
    DONE = "done"
    OVER = "over"


@dataclass(frozen=True)
class View:
    """An application and everything its page needs to know of it."""

    seen: Seen
    step: Step
    outcome: Outcome | None
    brand: brands.Brand
    routes: tuple[Route, ...]

    @property
    def people(self) -> list[KnownPerson]:
        """Who answers the phone, once it is proven."""
        return list(self.seen.people or ())


def view(session: Session, application: str, now: datetime) -> View:
    """How the application stands now; raises NotFound."""
    seen = applying.look(session, application, now=now)
    outcome = _outcome(session, application, seen, now)
    offered = settings.of(session, seen.programme).routes
    there = proving.routes(session, seen.programme.organisation_id)
    return View(
        seen=seen,
        step=_step(seen, outcome),
        outcome=outcome,
        brand=brands.brand(session, seen.programme),
        # A messenger's bot is a way of its own; this form has no page for it.
        routes=tuple(r for r in offered if r in there and r is not Route.MESSENGER),
    )


def _outcome(session: Session, application: str, seen: Seen, now: datetime) -> Outcome | None:
    if seen.proof is None:
        return None
    row = applications.found(session, application)
    return proving.status(session, seen.proof.proof, subject=subject(row), now=now).outcome


def _step(seen: Seen, outcome: Outcome | None) -> Step:
    if seen.state is ApplicationState.DONE:
        return Step.DONE
    if seen.people is not None:
        return Step.CHOICE  # also among nobody: what is left is to take the card
    if seen.proof is None:
        return Step.OVER
    if outcome is Outcome.PROVEN:
        return Step.PROVEN
    return Step.CALL if seen.proof.route is Route.CALL else Step.CODE


def code_page(found: View) -> dict[str, Any]:
    """What the template of the code's page needs, beside notices and errors."""
    proof, slug = found.seen.proof, found.brand.slug
    call_to = proof.call_to if proof else None
    return {
        "brand": found.brand,
        "heading": _heading(found.step),
        "step": found.step.value,
        "phone": found.seen.phone.replace(" ", "\N{NO-BREAK SPACE}"),
        "call_to": call_to,
        "call_shown": readable_phone(call_to) if call_to else "",
        "refresh": _REFRESH if found.step is Step.CALL else 0,
        "ways": _ways(found),
        "start": f"/join/{slug}",
        "action": f"/join/{slug}/code",
        "again": f"/join/{slug}/again",
    }


def standing(found: View) -> str:
    """What to say of a proof that cannot be finished any more; empty for the others."""
    match found.outcome:
        case Outcome.EXPIRED:
            return _("The code has expired. Have a new one sent.")
        case Outcome.SPENT:
            return _("That was the last try for this code. Have a new one sent.")
        case _:
            return ""


def _heading(step: Step) -> str:
    match step:
        case Step.CODE:
            return _("Enter the code")
        case Step.CALL:
            return _("Call to confirm")
        case Step.PROVEN:
            return _("Number confirmed")
        case _:
            return _("This form has expired")


def _ways(found: View) -> list[tuple[str, str]]:
    """The ways on: the same once more where that helps, and the others there are."""
    now = found.seen.proof.route if found.seen.proof else None
    offered = []
    for route in found.routes:
        if route is Route.SMS:
            again = _("Send a new code") if now is Route.SMS else _("Get a code by SMS instead")
            offered.append((route.value, str(again)))
        elif now is not route:
            offered.append((route.value, _("Confirm by a call instead")))
    return offered
