"""Which passes a timeline is about: found by what an operator has at hand."""

from __future__ import annotations

import enum
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlmodel import Session

from walletsvc.core.errors import NotFound, Refused
from walletsvc.passes.models import Pass

_PUBLIC_ID: Final = re.compile(r"[0-9a-z]{1,64}")

# Serial numbers are indexed behind their pass type.
_FIND: Final = text("""
SELECT p.id, p.serial, p.card_id AS card, p.certificate_id AS certificate,
       t.identifier AS pass_type, t.epoch,
       c.public_id AS card_id, c.number, g.public_id AS certificate_id,
       coalesce(c.account_id, g.account_id) AS account_id,
       pr.id AS programme_id, pr.slug AS programme, pr.time_zone, pr.organisation_id,
       u.scale, CASE WHEN u.kind = 'currency' THEN u.code END AS currency
  FROM passes p
  JOIN pass_types t ON t.id = p.pass_type_id
  LEFT JOIN cards c ON c.id = p.card_id
  LEFT JOIN certificates g ON g.id = p.certificate_id
  JOIN programmes pr ON pr.id = coalesce(c.programme_id, g.programme_id)
  JOIN ledger_units u ON u.id = pr.unit_id
 WHERE p.id = ANY(ARRAY(
       SELECT id FROM passes WHERE serial = CAST(:serial AS text)
          AND pass_type_id = ANY(ARRAY(SELECT id FROM pass_types))
       UNION SELECT p.id FROM passes p JOIN cards c ON c.id = p.card_id
        WHERE c.public_id = CAST(:card AS text) OR c.number = CAST(:number AS text)
       UNION SELECT p.id FROM passes p JOIN certificates g ON g.id = p.certificate_id
        WHERE g.public_id = CAST(:certificate AS text)))
   AND (CAST(:organisation_id AS bigint) IS NULL OR pr.organisation_id = :organisation_id)
 ORDER BY p.wallet, p.id
""")


class By(enum.StrEnum):
    """What a pass can be found by: its serial number, its card's number, the public id of its
    card or certificate."""

    SERIAL = "serial"
    NUMBER = "number"
    CARD = "card"
    CERTIFICATE = "certificate"


@dataclass(frozen=True)
class Subject:
    """A pass and what is needed to tell its story: whose it is, and how its amounts read.

    `currency` is None for points; `epoch` is the one of the update tags.
    """

    pass_: Pass
    pass_type: str
    epoch: int
    card_id: str | None
    number: str | None
    certificate_id: str | None
    account_id: int
    programme_id: int
    programme: str
    time_zone: str
    scale: int
    currency: str | None


def find(
    session: Session,
    what: str,
    *,
    organisation_id: int | None = None,
    by: Collection[By] = tuple(By),
) -> list[Subject]:
    """The passes that answer to `what` in one of the ways of `by`: a serial number's, or those of
    one card or certificate, in the order of the wallets' names.

    Raises NotFound, and Refused when it means passes of several holders. Neither repeats what was
    asked for, which may be a phone number that was typed by mistake.
    """
    given = re.sub(r"[\s-]", "", what)
    known = given if _PUBLIC_ID.fullmatch(given) else None
    values = {
        **{way.value: known if way in by else None for way in By},
        "organisation_id": organisation_id,
    }
    rows = session.execute(_FIND, values).all() if known else []
    if not rows:
        raise NotFound(
            "There is no such pass: give its serial number, the card's number, or the id of the"
            " card or certificate."
        )
    if len({(row.card, row.certificate) for row in rows}) > 1:
        choices = ", ".join(f"{row.serial} ({row.pass_type})" for row in rows)
        raise Refused(f"Several passes answer to this; name one by its serial number: {choices}.")
    return [_subject(session, row) for row in rows]


def _subject(session: Session, row: Row[Any]) -> Subject:
    return Subject(
        pass_=session.get_one(Pass, row.id, populate_existing=True),
        pass_type=row.pass_type,
        epoch=row.epoch,
        card_id=row.card_id,
        number=row.number,
        certificate_id=row.certificate_id,
        account_id=row.account_id,
        programme_id=row.programme_id,
        programme=row.programme,
        time_zone=row.time_zone,
        scale=row.scale,
        currency=row.currency,
    )
