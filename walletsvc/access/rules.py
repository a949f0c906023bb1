"""What an API key may be allowed to do, and what a key looks like."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from typing import Final

from walletsvc.core.errors import FieldError, InputError
from walletsvc.core.ids import secret_token

# A recognisable beginning lets secret scanners find a key that was pasted somewhere.
PREFIX: Final = "wsk_"
_SECRET: Final = re.compile(r"wsk_[A-Za-z0-9_-]{32}")


class Scope(enum.StrEnum):
    """One permission of a key; new ones are added, none is renamed."""

    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    MEMBERS_MANAGE = "members:manage"
    CARDS_READ = "cards:read"
    SALES_READ = "sales:read"
    SALES_WRITE = "sales:write"
    ADJUSTMENTS_WRITE = "adjustments:write"
    HOLDS_WRITE = "holds:write"
    REVERSALS_WRITE = "reversals:write"
    GROUPS_WRITE = "groups:write"
    GROUPS_APPROVE = "groups:approve"
    OPERATIONS_READ = "operations:read"
    OPERATIONS_WRITE = "operations:write"
    STATEMENTS_READ = "statements:read"
    SETTLEMENTS_WRITE = "settlements:write"
    LEDGER_READ = "ledger:read"
    CERTIFICATES_READ = "certificates:read"
    CERTIFICATES_WRITE = "certificates:write"
    CERTIFICATES_REDEEM = "certificates:redeem"
    CERTIFICATES_MANAGE = "certificates:manage"
    RULES_READ = "rules:read"
    RULES_WRITE = "rules:write"
    PROOFS_WRITE = "proofs:write"
    PROOFS_VOUCH = "proofs:vouch"
    CONSENTS_READ = "consents:read"
    CONSENTS_WRITE = "consents:write"
    ENROLMENT_READ = "enrolment:read"
    ENROLMENT_WRITE = "enrolment:write"
    STAFF_READ = "staff:read"
    STAFF_WRITE = "staff:write"
    IMPORTS_WRITE = "imports:write"


SCOPES: Final = tuple(scope.value for scope in Scope)
MEANINGS: Final[dict[Scope, str]] = {
    Scope.MEMBERS_READ: "find members by phone, plastic number or name",
    Scope.MEMBERS_WRITE: "register persons, change what is known of them, issue and verify cards",
    Scope.MEMBERS_MANAGE: "make one person of two and part them again, change a lost phone, hand "
    "out everything about a person, erase a person",
    Scope.CARDS_READ: "read cards and their transactions",
    Scope.SALES_READ: "scan, quote, and read purchases and refunds",
    Scope.SALES_WRITE: "record purchases, refunds and corrections",
    Scope.ADJUSTMENTS_WRITE: "credit and debit cards by hand",
    Scope.HOLDS_WRITE: "reserve value of cards and certificates, take it, release it",
    Scope.REVERSALS_WRITE: "undo transactions in full or in part",
    Scope.GROUPS_WRITE: "invite into groups of cards, join with a code, leave",
    Scope.GROUPS_APPROVE: "let cards into groups without a code, with a reason",
    Scope.OPERATIONS_READ: "see timelines of passes, bulk jobs and push channels",
    Scope.OPERATIONS_WRITE: "pause and resume bulk jobs and push channels",
    Scope.STATEMENTS_READ: "read what organisations owe each other and whose value is accepted",
    Scope.SETTLEMENTS_WRITE: "write down that another organisation paid what it owed",
    Scope.LEDGER_READ: "see balances explained and what is owed, and have the ledger verified",
    Scope.CERTIFICATES_READ: "read gift certificates, their transactions and the figures",
    Scope.CERTIFICATES_WRITE: "issue gift certificates that were paid for, and top them up",
    Scope.CERTIFICATES_REDEEM: "look gift certificates up by code, redeem and refund",
    Scope.CERTIFICATES_MANAGE: "issue free gift certificates and many at once, block, transfer, "
    "pay out the remainder",
    Scope.RULES_READ: "read programmes and the versions of their rules",
    Scope.RULES_WRITE: "save, rehearse and publish rules, see who would change tier, tell all "
    "holders something",
    Scope.PROOFS_WRITE: "have codes sent to phones and check them",
    Scope.PROOFS_VOUCH: "say, as a messenger's bot, whose contact was shared, which proves phones",
    Scope.CONSENTS_READ: "read the texts of consents and who agreed to what, with phones",
    Scope.CONSENTS_WRITE: "publish texts of consents, write down agreements and withdrawals",
    Scope.ENROLMENT_READ: "read how programmes take people in, and what came of each source",
    Scope.ENROLMENT_WRITE: "open and close the form, say what it asks, make sources",
    Scope.STAFF_READ: "see who works for the organisation",
    Scope.STAFF_WRITE: "add employees and let them go",
    Scope.IMPORTS_WRITE: "look bases of cards through, bring them in and undo that",
}


def new_secret() -> str:
    """A fresh API key, `wsk_` and 192 random bits."""
    return PREFIX + secret_token()


def plausible_secret(text: str) -> bool:
    """Whether the text has the form of an API key; others need no look at the database."""
    return _SECRET.fullmatch(text) is not None


def check_scopes(scopes: Sequence[str]) -> list[str]:
    """The scopes sorted and without repetition; raises InputError for none or unknown ones."""
    known = ", ".join(Scope)
    if not scopes:
        raise InputError(
            f"A key needs at least one scope: {known}.",
            (FieldError("scopes", "at least one is needed", "required"),),
        )
    for scope in scopes:
        if scope not in tuple(Scope):
            raise InputError(
                f"'{scope}' is not a scope; there are {known}.",
                (FieldError("scopes", f"'{scope}' is not a scope", "not_allowed"),),
            )
    return sorted(set(scopes))
