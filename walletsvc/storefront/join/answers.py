"""Where joining ends without a card, and what helps then."""

from __future__ import annotations

from flask import Response, redirect, render_template

from walletsvc.core.errors import Conflict, Refused
from walletsvc.storefront.brand import Brand
from walletsvc.storefront.private import private
from walletsvc.web.i18n import translated as _


def again_done(slug: str) -> Response:
    """The card is there already, and was shown to whoever proved the phone."""
    page = {
        "heading": _("You have your card already"),
        "advice": _(
            "This form was finished. Open the card from the message we sent you; to get it "
            "onto another phone, fill in the form again with the same number."
        ),
        "way_on": f"/join/{slug}",
    }
    return private(render_template("storefront/join/closed.html", **page))


def outdated(slug: str) -> Response:
    """A text that was agreed to has been replaced since."""
    page = {
        "heading": _("Once more, please"),
        "advice": _("A text that you agreed to has changed since: please read the new one."),
        "way_on": f"/join/{slug}",
    }
    return private(render_template("storefront/join/closed.html", **page), 409)


def begin_anew(slug: str) -> Response:
    """Back to an empty form."""
    return private(redirect(f"/join/{slug}", 303))


def refused(error: Refused | Conflict) -> Response:
    """A rule of the business says no; the till knows which."""
    page = {
        "heading": _("We cannot give you a card here"),
        "advice": _("Please ask at the till: they can see why and will help."),
    }
    return private(render_template("storefront/join/closed.html", **page), error.status)


def closed(brand: Brand | None) -> Response:
    """Nobody joins here; `brand` is whose form it would be."""
    page = {
        "brand": brand,
        "heading": _("Nobody can join here at the moment"),
        "advice": _("Please ask at the till: they can make you a card."),
    }
    return private(render_template("storefront/join/closed.html", **page), 404)
