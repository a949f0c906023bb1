"""Which rows are about one person: the ids by which every table is asked."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.people.models import Person


class Key(enum.StrEnum):
    """What a column of a table refers to, so that its rows are about a person."""

    PERSON = "persons"
    PHONE = "phones"
    NUMBER = "numbers"  # a phone as text
    CARD = "cards"
    ACCOUNT = "accounts"
    PASS = "passes"  # noqa: S105 - no password
    TRANSACTION = "transactions"
    HOLD = "holds"
    LOT = "lots"
    PURCHASE = "purchases"
    PROOF = "proofs"
    TEXT = "texts"
    GROUP = "groups"


@dataclass(frozen=True)
class Subject:
    """A person with all rows that were merged into theirs, and what is theirs by kind.

    Accounts, and what is on them, are theirs alone: of a shared account a card's own transactions
    are told. `shared` are phones that somebody else of any organisation answers too.
    """

    organisation_id: int
    ids: Mapping[Key, list[Any]]
    shared: frozenset[str]

    def own_numbers(self) -> list[str]:
        """The phones that nobody else has."""
        return [number for number in self.ids[Key.NUMBER] if number not in self.shared]


# In this order: each may use what the ones before it found.
_STEPS: Final[tuple[tuple[Key, str], ...]] = (
    (
        Key.PERSON,
        (
            "WITH RECURSIVE same (id) AS (SELECT CAST(:person_id AS bigint) UNION"
            " SELECT p.id FROM same JOIN persons p ON p.merged_into_id = same.id)"
            " SELECT id FROM same"
        ),
    ),
    (
        Key.PHONE,
        (  # and what was theirs before
            "SELECT phone_id FROM person_phones WHERE person_id = ANY(:persons) UNION"
            " SELECT h.id FROM phone_changes c JOIN phones h ON h.e164 = c.former"
            " WHERE c.person_id = ANY(:persons)"
        ),
    ),
    (Key.NUMBER, "SELECT e164 FROM phones WHERE id = ANY(:phones)"),
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
            "SELECT proof_id FROM consents WHERE person_id = ANY(:persons) AND proof_id IS NOT NULL"
            " UNION SELECT proof_id FROM customer_sessions WHERE person_id = ANY(:persons)"
            " AND proof_id IS NOT NULL UNION SELECT id FROM phone_proofs"
            " WHERE phone = ANY(:own_numbers) AND organisation_id = :organisation_id"
        ),
    ),
    (Key.TEXT, "SELECT text_id FROM consents WHERE person_id = ANY(:persons)"),
    (Key.GROUP, "SELECT group_id FROM group_members WHERE card_id = ANY(:cards)"),
)
_SHARED: Final = text(
    "SELECT h.e164 FROM phones h JOIN person_phones pp ON pp.phone_id = h.id"
    " WHERE h.id = ANY(:phones) AND pp.person_id <> ALL(:persons)"
)


def subject_of(session: Session, person: Person) -> Subject:
    """Everything that is this person's."""
    ids: dict[Key, list[Any]] = {key: [] for key in Key}
    shared: frozenset[str] = frozenset()
    for key, statement in _STEPS:
        values: dict[str, Any] = {kind.value: found for kind, found in ids.items()}
        values |= {
            "person_id": person.id,
            "organisation_id": person.organisation_id,
            "own_numbers": [each for each in ids[Key.NUMBER] if each not in shared],
        }
        ids[key] = _sorted(session.execute(_typed(statement, values), values).scalars())
        if key is Key.NUMBER:
            shared = frozenset(session.execute(_SHARED, _named(_SHARED, ids)).scalars())
    return Subject(person.organisation_id, ids, shared)


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
