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


@dataclass(frozen=True, slots=True)
class Span:
    """From when until when; None has no end."""

    since: datetime | None
    until: datetime | None

    def holds(self, at: datetime) -> bool:
        """Whether a moment is within."""
        return (self.since is None or self.since < at) and (self.until is None or at < self.until)


@dataclass(frozen=True)
class Subject:
    """A person with all rows that were merged into theirs, and what is theirs by kind.

    Accounts, and what is on them, are theirs alone: of a shared account a card's own transactions
    are told. `own` are the phones (E.164) that were theirs alone, and when: what was sent and
    proven by them before and afterwards is somebody else's.
    """

    organisation_id: int
    ids: Mapping[Key, list[Any]]
    own: Mapping[str, Span]

    def owned(self, phone: str | None, at: datetime) -> bool:
        """Whether the phone was theirs alone at a moment."""
        return phone is not None and phone in self.own and self.own[phone].holds(at)

    def own_values(self) -> dict[str, Any]:
        """What a statement with `OWN` in it needs."""
        return _own_values(self.own)


# As a table: phones that were the person's alone, and when.
OWN: Final = (
    "(SELECT u.phone, tstzrange(u.since, u.until, '()') AS span FROM unnest("
    "CAST(:own_numbers AS text[]), CAST(:own_since AS timestamptz[]),"
    " CAST(:own_until AS timestamptz[])) AS u (phone, since, until)) AS own"
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
            " ON p.phone = own.phone AND p.created_at <@ own.span"
            " WHERE p.organisation_id = :organisation_id"
        ),
    ),
    (
        Key.APPLICATION,
        (
            "SELECT id FROM applications WHERE card_id = ANY(:cards) UNION"  # noqa: S608 - ours
            f" SELECT a.id FROM {OWN} JOIN applications a ON a.phone = own.phone"
            " AND a.created_at <@ own.span JOIN programmes p ON p.id = a.programme_id"
            " WHERE p.organisation_id = :organisation_id"
        ),
    ),
    (Key.TEXT, "SELECT text_id FROM consents WHERE person_id = ANY(:persons)"),
    (Key.GROUP, "SELECT group_id FROM group_members WHERE card_id = ANY(:cards)"),
)
# Without those that somebody else of any organisation answers too; since the last other has left.
_OWN_NOW: Final = text("""
SELECT h.e164 AS phone, CAST(NULL AS timestamptz) AS until,
       (SELECT max(o.changed_at) FROM phone_changes o
         WHERE o.former = h.e164 AND NOT o.mistyped AND o.person_id <> ALL(:persons)) AS since
  FROM phones h
 WHERE h.id = ANY(:phones) AND NOT EXISTS (
    SELECT FROM person_phones pp WHERE pp.phone_id = h.id AND pp.person_id <> ALL(:persons))
""")
# Former ones, without those that were a stranger's or that somebody else answered at that time;
# others who have left the phone as well were there before, unless they are newer.
_OWN_ONCE: Final = text("""
SELECT c.former AS phone, max(c.changed_at) AS until,
       (SELECT max(o.changed_at) FROM phone_changes o JOIN persons p ON p.id = o.person_id
         WHERE o.former = c.former AND NOT o.mistyped AND o.person_id <> ALL(:persons)
           AND p.created_at < max(c.changed_at)) AS since
  FROM phone_changes c
 WHERE c.person_id = ANY(:persons) AND c.former IS NOT NULL AND NOT c.mistyped
   AND NOT EXISTS (
    SELECT FROM phones h JOIN person_phones pp ON pp.phone_id = h.id
     WHERE h.e164 = c.former AND pp.person_id <> ALL(:persons) AND pp.created_at < c.changed_at)
 GROUP BY c.former
""")


def subject_of(session: Session, person: Person) -> Subject:
    """Everything that is this person's."""
    ids: dict[Key, list[Any]] = {key: [] for key in Key}
    own: Mapping[str, Span] = {}
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


def _own(session: Session, ids: Mapping[Key, list[Any]]) -> dict[str, Span]:
    found = [
        row
        for statement in (_OWN_ONCE, _OWN_NOW)  # whoever took a former one again has it now
        for row in session.execute(statement, _named(statement, ids))
    ]
    spans = {row.phone: Span(row.since, row.until) for row in found}
    return {
        phone: span
        for phone, span in spans.items()
        if span.since is None or span.until is None or span.since < span.until
    }


def _own_values(own: Mapping[str, Span]) -> dict[str, Any]:
    return {
        "own_numbers": list(own),
        "own_since": [span.since for span in own.values()],
        "own_until": [span.until for span in own.values()],
    }


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
