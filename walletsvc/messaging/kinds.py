"""Which messages there are, what each is for, and by which channels each may go."""

from __future__ import annotations

import enum
from datetime import timedelta
from typing import Final


class Category(enum.StrEnum):
    """Why a message is sent; the law and the limits ask for it."""

    CODE = "code"  # proves a phone; asked for by whoever holds it
    SERVICE = "service"  # about what the person does with us
    STAFF = "staff"  # to somebody who works here
    ADVERTISING = "advertising"  # only with consent for this very channel


class Channel(enum.StrEnum):
    """A way that messages go by."""

    SMS = "sms"
    EMAIL = "email"
    CALL = "call"
    MESSENGER = "messenger"


class MessageKind(enum.StrEnum):
    """What a message says. The values that each kind's words want are in `VALUES`."""

    CODE = "code"  # to join
    TILL_CODE = "till_code"
    LOG_IN_CODE = "log_in_code"
    PHONE_CODE = "phone_code"
    CLAIM_CODE = "claim_code"
    SPEND_CODE = "spend_code"
    CARD_LINK = "card_link"
    NEW_MEMBER = "new_member"
    BALANCE = "balance"
    TERMS = "terms"
    HELP = "help"
    STOPPED = "stopped"
    PHONE_CHANGED = "phone_changed"
    LOGGED_IN = "logged_in"
    NEWS = "news"
    TEST = "test"

    @property
    def category(self) -> Category:
        """Why it is sent."""
        return _CATEGORIES.get(self, Category.SERVICE)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """By which channels it goes: the first that can, then, when that fails, the next."""
        return _CHANNELS.get(self, (Channel.SMS, Channel.EMAIL))

    @property
    def secret(self) -> bool:
        """Whether its text opens something, and so is forgotten once it has done its work."""
        return self.category is Category.CODE

    @property
    def patience(self) -> timedelta | None:
        """How long the news of its delivery is waited for before the next channel is tried; None:
        for ever, since what comes twice would harm more than what comes late."""
        return _PATIENCE.get(self)


_CODES: Final = (
    MessageKind.CODE,
    MessageKind.TILL_CODE,
    MessageKind.LOG_IN_CODE,
    MessageKind.PHONE_CODE,
    MessageKind.CLAIM_CODE,
    MessageKind.SPEND_CODE,
)
_CATEGORIES: Final = dict.fromkeys(_CODES, Category.CODE) | {
    MessageKind.NEW_MEMBER: Category.STAFF,
    MessageKind.TEST: Category.STAFF,
    MessageKind.NEWS: Category.ADVERTISING,
}
# A code proves the phone it is sent to: by e-mail it would prove something else. Who asks by SMS
# is answered by SMS.
_ONLY_SMS: Final = (Channel.SMS,)
_CHANNELS: Final = dict.fromkeys(_CODES, _ONLY_SMS) | {
    MessageKind.BALANCE: _ONLY_SMS,
    MessageKind.TERMS: _ONLY_SMS,
    MessageKind.HELP: _ONLY_SMS,
    MessageKind.STOPPED: _ONLY_SMS,
    # What costs nothing goes first where nobody waits.
    MessageKind.NEW_MEMBER: (Channel.EMAIL, Channel.SMS),
    MessageKind.NEWS: (Channel.EMAIL, Channel.SMS),
}
_PATIENCE: Final = {MessageKind.CARD_LINK: timedelta(minutes=10)}

# What the words of each kind want beside `shop` and `contact`, the organisation's name and phone
# unless told otherwise. Words may leave a value out, and more values than these harm nothing.
VALUES: Final[dict[MessageKind, frozenset[str]]] = {
    MessageKind.CODE: frozenset({"code", "fill_in"}),
    MessageKind.TILL_CODE: frozenset({"code", "consent"}),
    MessageKind.LOG_IN_CODE: frozenset({"code", "fill_in"}),
    MessageKind.PHONE_CODE: frozenset({"code", "fill_in"}),
    MessageKind.CLAIM_CODE: frozenset({"code", "fill_in"}),
    MessageKind.SPEND_CODE: frozenset({"code"}),
    MessageKind.CARD_LINK: frozenset({"link"}),
    MessageKind.NEW_MEMBER: frozenset({"name", "programme", "branch"}),
    MessageKind.BALANCE: frozenset({"balances"}),
    MessageKind.TERMS: frozenset({"link"}),
    MessageKind.HELP: frozenset(),
    MessageKind.STOPPED: frozenset(),
    MessageKind.PHONE_CHANGED: frozenset(),
    MessageKind.LOGGED_IN: frozenset({"time"}),
    MessageKind.NEWS: frozenset({"text"}),
    MessageKind.TEST: frozenset(),
}
