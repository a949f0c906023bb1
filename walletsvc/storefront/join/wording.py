"""What is wrong with a form, in words for the person who typed it."""

from __future__ import annotations

from typing import Final

from flask_babel import ngettext

from walletsvc.core.errors import FieldError, InputError, TooManyTries
from walletsvc.people.consents.models import ConsentChannel
from walletsvc.storefront.join.typed import in_order
from walletsvc.web.i18n import translated as _

_SIXTY: Final = 60


def names() -> dict[str, str]:
    """The fields, as the page calls them."""
    return {
        "phone": _("Phone"),
        "first_name": _("First name"),
        "last_name": _("Last name"),
        "birthday": _("Birthday"),
        "email": _("E-mail"),
        "plastic_number": _("Number on the card"),
        "data_text": _("Consent to data processing"),
        "advertising_text": _("News and offers"),
    }


def channels(*, email: bool) -> list[tuple[str, str]]:
    """By which ways news may come, as the form offers them; e-mail where it is asked for."""
    offered = [
        (ConsentChannel.SMS.value, _("by SMS")),
        (ConsentChannel.WALLET.value, _("on the card itself, in the phone's wallet")),
        (ConsentChannel.MESSENGER.value, _("in a messenger")),
    ]
    if email:
        offered.insert(1, (ConsentChannel.EMAIL.value, _("by e-mail")))
    return offered


def told(error: InputError) -> dict[str, str]:
    """What to say beside each field."""
    return in_order({each.field.split(".")[0]: _said(each) for each in reversed(error.fields)})


def _said(error: FieldError) -> str:
    by_field = {
        "phone": _("This is not a phone number. Check the digits; from abroad, begin with + and "
                   "the country code."),
        "birthday": _("There is no such birthday. Write the year with four digits."),
        "email": _("This is not an e-mail address. Check that it has an @ and no spaces."),
        "data_text": _("Without this consent we cannot issue a card in your name."),
        "advertising_text": _("This text has changed: please read it and choose again."),
        "plastic_number": _("We cannot give you this card. Check the number and the phone you gave "
                            "when you got it, or ask at the till."),
    }  # fmt: skip
    if error.field in ("data_text", "advertising_text") and error.code == "outdated":
        return by_field["advertising_text"]
    match error.code:
        case "required" if error.field != "data_text":
            return _("Please fill this in.")
        case "too_long":
            return _("This is too long.")
        case "invalid_characters":
            return _("Only letters, please: some characters here cannot be used.")
    return by_field.get(error.field) or _("Please check this.")


def patience(error: TooManyTries) -> str:
    """How long to wait."""
    seconds = int(error.data.get("retry_after") or _SIXTY)
    if seconds < 2 * _SIXTY:
        return str(
            ngettext(
                "Too many tries. Please wait %(num)s second and try again.",
                "Too many tries. Please wait %(num)s seconds and try again.",
                seconds,
            )
        )
    minutes = -(-seconds // _SIXTY)
    return str(
        ngettext(
            "Too many tries. Please come back in %(num)s minute, or ask at the till.",
            "Too many tries. Please come back in %(num)s minutes, or ask at the till.",
            minutes,
        )
    )


def wrong_code(tries_left: int) -> str:
    """That the code is another one."""
    if not tries_left:
        return _("This is not the code. Have a new one sent.")
    return str(
        ngettext(
            "This is not the code. You can try %(num)s more time.",
            "This is not the code. You can try %(num)s more times.",
            tries_left,
        )
    )
