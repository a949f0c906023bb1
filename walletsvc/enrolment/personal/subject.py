"""Which rows are about one person: the ids by which every table is asked."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.people.models import Person
from walletsvc.people.queries import SAME_PERSON


class Key(enum.StrEnum):
    """What a column of a table refers to, so that its rows are about a person."""

    PERSON = "persons"
    PHONE = "phones"
    LEFT_PHONE = "left_phones"  # one that was theirs before, or was written down for theirs
    CARD = "cards"
    ACCOUNT = "accounts"
    PASS = "passes"  # noqa: S105 - no password
    TRANSACTION = "transactions"
    HOLD = "holds"
    LOT = "lots"
    PURCHASE = "purchases"
    PROOF = "proofs"
    APPLICATION = "applications"
    TEXT = "texts"
    GROUP = "groups"


@dataclass(frozen=True)
class Subject:
    """A person with all rows that were merged into theirs, and what is theirs by kind.

    Accounts, and what is on them, are theirs alone: of a shared account a card's own transactions
    are told. `own` are the phones (E.164) that were theirs alone, until when: None for one that
    still is. What was sent and proven by a former phone later is somebody else's.
    """

    organisation_id: int
    ids: Mapping[Key, list[Any]]
    own: Mapping[str, datetime | None]

    def owned(self, phone: str | None, at: datetime) -> bool:
        """Whether the phone was theirs alone at a moment."""
        if phone is None or phone not in self.own:
            return False
        until = self.own[phone]
        return until is None or at < until

    def own_values(self) -> dict[str, Any]:
        """What a statement with `OWN` in it needs."""
        return _own_values(self.own)


# As a table: phones that were the person's alone, and until when.
OWN: Final = (
    "(SELECT u.phone, coalesce(u.until, 'infinity') AS until FROM unnest("
    "CAST(:own_numbers AS text[]), CAST(:own_until AS timestamptz[])) AS u (phone, until)) AS own"
)


# In this order: each may use what the ones before it found.
_STEPS: Final[tuple[tuple[Key, str], ...]] = (
    (
        Key.PERSON,
        SAME_PERSON,
    ),
    (
        Key.PHONE,
        "SELECT phone_id FROM person_phones WHERE person_id = ANY(:persons)",
    ),
    (
        Key.LEFT_PHONE,
        (
            "SELECT h.id FROM phone_changes c JOIN phones h ON h.e164 = c.former"
            " WHERE c.person_id = ANY(:persons)"
        ),
    ),
    (Key.CARD, "SELECT id FROM cards WHERE person_id = ANY(:persons)"),
    (
        Key.ACCOUNT,
        (
            "SELECT account_id FROM cards WHERE id = ANY(:cards) AND group_id IS NULL UNION"
            " SELECT account_id FROM card_merges WHERE card_id = ANY(:cards)"
        ),
    ),
    (Key.PASS, "SELECT id FROM passes WHERE card_id = ANY(:cards)"),
    (
        Key.TRANSACTION,
        (
            "SELECT id FROM ledger_transactions WHERE card_id = ANY(:cards) UNION"
            " SELECT transaction_id FROM ledger_entries WHERE account_id = ANY(:accounts)"
        ),
    ),
    (
        Key.HOLD,
        "SELECT id FROM holds WHERE card_id = ANY(:cards) OR account_id = ANY(:accounts)",
    ),
    (
        Key.LOT,
        (  # as the table's two partial indexes are asked
            "SELECT id FROM lots WHERE account_id = ANY(:accounts)"
            " AND (remaining > 0 OR remaining = 0)"
        ),
    ),
    (Key.PURCHASE, "SELECT id FROM purchases WHERE card_id = ANY(:cards)"),
    (
        Key.PROOF,
        (
            "SELECT proof_id FROM consents WHERE person_id = ANY(:persons) AND proof_id IS NOT NULL"  # noqa: S608 - ours
            " UNION SELECT proof_id FROM customer_sessions WHERE person_id = ANY(:persons)"
            f" AND proof_id IS NOT NULL UNION SELECT p.id FROM {OWN} JOIN phone_proofs p"
            " ON p.phone = own.phone AND p.created_at < own.until"
            " WHERE p.organisation_id = :organisation_id"
        ),
    ),
    (
        Key.APPLICATION,
        (
            "SELECT id FROM applications WHERE card_id = ANY(:cards) UNION"  # noqa: S608 - ours
            f" SELECT a.id FROM {OWN} JOIN applications a ON a.phone = own.phone"
            " AND a.created_at < own.until JOIN programmes p ON p.id = a.programme_id"
            " WHERE p.organisation_id = :organisation_id"
        ),
    ),
    (Key.TEXT, "SELECT text_id FROM consents WHERE person_id = ANY(:persons)"),
    (Key.GROUP, "SELECT group_id FROM group_members WHERE card_id = ANY(:cards)"),
)
# Without those that somebody else of any organisation answers too.
_OWN_NOW: Final = text("""
SELECT h.e164 FROM phones h
 WHERE h.id = ANY(:phones) AND NOT EXISTS (
    SELECT FROM person_phones pp WHERE pp.phone_id = h.id AND pp.person_id <> ALL(:persons))
""")
# Former ones, without those that were a stranger's or that somebody else answered at that time.
_OWN_ONCE: Final = text("""
SELECT c.former, max(c.changed_at) AS until FROM phone_changes c
 WHERE c.person_id = ANY(:persons) AND c.former IS NOT NULL AND NOT c.mistyped
   AND NOT EXISTS (
    SELECT FROM phones h JOIN person_phones pp ON pp.phone_id = h.id
     WHERE h.e164 = c.former AND pp.person_id <> ALL(:persons) AND pp.created_at < c.changed_at)
   AND NOT EXISTS (
    SELECT FROM phone_changes o JOIN persons p ON p.id = o.person_id
     WHERE o.former = c.former AND NOT o.mistyped AND o.person_id <> ALL(:persons)
       AND p.created_at < c.changed_at)
 GROUP BY c.former
""")


def subject_of(session: Session, person: Person) -> Subject:
    """Everything that is this person's."""
    ids: dict[Key, list[Any]] = {key: [] for key in Key}
    own: Mapping[str, datetime | None] = {}
    for key, statement in _STEPS:
        values: dict[str, Any] = {kind.value: found for kind, found in ids.items()}
        values |= {
            "person_id": person.id,
            "organisation_id": person.organisation_id,
            **_own_values(own),
        }
        ids[key] = _sorted(session.execute(_typed(statement, values), values).scalars())
        if key is Key.PHONE:
            own = _own(session, ids)
    return Subject(person.organisation_id, ids, own)


def _own(session: Session, ids: Mapping[Key, list[Any]]) -> dict[str, datetime | None]:
    once = session.execute(_OWN_ONCE, _named(_OWN_ONCE, ids))
    now = session.execute(_OWN_NOW, _named(_OWN_NOW, ids)).scalars()
    return {row.former: row.until for row in once} | dict.fromkeys(now)


def _own_values(own: Mapping[str, datetime | None]) -> dict[str, Any]:
    return {"own_numbers": list(own), "own_until": list(own.values())}


def _sorted(found: Iterable[Any]) -> list[Any]:
    return sorted(set(found))


def _named(statement: Any, ids: Mapping[Key, list[Any]]) -> dict[str, Any]:
    wanted = statement.compile().params
    return {key.value: found for key, found in ids.items() if key.value in wanted}


def _typed(statement: str, values: dict[str, Any]) -> Any:
    """The statement; `values` keep only what it names."""
    made = text(statement)
    wanted = made.compile().params
    for name in [name for name in values if name not in wanted]:
        del values[name]
    return made
