"""The allowance of notifications: three per pass in 24 hours, whatever asks for them.

Who wants one reserves it before the request leaves, in the transaction of the claim and with the
object's row locked, so that no two can take the same. It is given back only when Google has for
certain not applied the request. Our day is five minutes longer than Google's: a request reaches
Google some time after its reservation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import orjson
from sqlalchemy import text
from sqlmodel import Session

from walletsvc.google.models import BuzzKind

ALLOWANCE: Final = 3
WINDOW: Final = timedelta(hours=24, minutes=5)

# Those of one pass, and those of its class: an announcement counts for each of its holders.
_RESERVE: Final = text(
    "INSERT INTO google_buzzes AS b (pass_id, kind, key, at)"
    " SELECT n.pass_id, :kind, n.key, :now"
    "   FROM jsonb_to_recordset(CAST(:wanted AS jsonb)) AS n(pass_id bigint, key text)"
    "   JOIN google_objects o ON o.pass_id = n.pass_id"
    "  WHERE (SELECT count(*) FROM google_buzzes s"
    "      WHERE s.pass_id = n.pass_id AND s.at > :since AND s.key <> n.key)"
    "    + (SELECT count(*) FROM google_buzzes s"
    "      WHERE s.google_class_id = o.google_class_id AND s.at > :since) < :allowance"
    " ON CONFLICT (pass_id, key) DO UPDATE SET at = EXCLUDED.at"
    " RETURNING b.pass_id"
)
_RESERVE_CLASS: Final = text(
    "INSERT INTO google_buzzes AS b (google_class_id, kind, key, at)"
    " SELECT n.id, :kind, n.key, :now"
    "  FROM (SELECT CAST(:google_class_id AS bigint) AS id, CAST(:key AS text) AS key) n"
    "  WHERE (SELECT count(*) FROM google_buzzes s WHERE s.google_class_id = n.id"
    "    AND s.at > :since AND s.key <> n.key) < :allowance"
    " ON CONFLICT (google_class_id, key) DO UPDATE SET at = EXCLUDED.at"
    " RETURNING b.id"
)
_RELEASE: Final = text(
    "DELETE FROM google_buzzes b"
    " USING jsonb_to_recordset(CAST(:keys AS jsonb)) AS n(pass_id bigint, key text)"
    " WHERE b.pass_id = n.pass_id AND b.key = n.key"
)
_RELEASE_CLASS: Final = text(
    "DELETE FROM google_buzzes WHERE google_class_id = :google_class_id AND key = :key"
)
_SPENT: Final = text(
    "SELECT at FROM google_buzzes WHERE pass_id = :pass_id AND at > :since"
    " UNION ALL SELECT b.at FROM google_buzzes b JOIN google_objects o"
    "   ON o.google_class_id = b.google_class_id WHERE o.pass_id = :pass_id AND b.at > :since"
    " ORDER BY at"
)
# An announcement that waits is not there yet: it takes its place in the class when it is sent.
_AUDIENCE: Final = text(
    "SELECT count(*) AS holders, count(*) FILTER (WHERE o.all_told + (SELECT count(*)"
    "     FROM google_buzzes s WHERE s.pass_id = o.pass_id AND s.at > :since) < :allowance)"
    " FROM (SELECT o.pass_id, (SELECT count(*) FROM google_buzzes s"
    "     WHERE s.google_class_id = c.id AND s.at > :since) AS all_told"
    "   FROM google_objects o JOIN google_classes c ON c.id = o.google_class_id"
    "   JOIN pass_types t ON t.id = c.pass_type_id"
    "   WHERE c.template_id = :template_id AND t.identifier = :issuer_id AND o.has_users) o"
)
_FORGET: Final = text(
    "DELETE FROM google_buzzes WHERE id = ANY(ARRAY("
    "  SELECT id FROM google_buzzes WHERE at < :limit LIMIT :count))"
)


class Wish(NamedTuple):
    """A notification that a pass is to have; `key` names its cause, for which there is one."""

    pass_id: int
    key: str


class Budget(NamedTuple):
    """How many notifications a pass has left, and when the next comes back; None: none is out."""

    left: int
    next_at: datetime | None


def reserve(session: Session, wishes: Sequence[Wish], kind: BuzzKind, *, now: datetime) -> set[int]:
    """Take one notification for each pass that has any left; returns which got it. The caller
    holds the locks of the objects, and names each pass once. To ask again with the same key takes
    no second one."""
    if not wishes:
        return set()
    values = {
        "wanted": _written(wishes),
        "kind": kind,
        "now": now,
        "since": now - WINDOW,
        "allowance": ALLOWANCE,
    }
    return set(session.execute(_RESERVE, values).scalars())


def reserve_class(session: Session, google_class_id: int, key: str, *, now: datetime) -> bool:
    """Take one for an announcement to all holders of a class; False when there were three.

    It counts for each of them. One who has none left is passed over by Google itself: nobody
    goes untold because somebody else was told often.
    """
    values = {
        "google_class_id": google_class_id,
        "key": key,
        "kind": BuzzKind.ANNOUNCEMENT,
        "now": now,
        "since": now - WINDOW,
        "allowance": ALLOWANCE,
    }
    return session.execute(_RESERVE_CLASS, values).first() is not None


def release(session: Session, wishes: Iterable[Wish]) -> None:
    """Give these back: Google has not been asked."""
    written = list(wishes)
    if written:
        session.execute(_RELEASE, {"keys": _written(written)})


def release_class(session: Session, google_class_id: int, key: str) -> None:
    """Give an announcement's back."""
    session.execute(_RELEASE_CLASS, {"google_class_id": google_class_id, "key": key})


def budget(session: Session, pass_id: int, now: datetime) -> Budget:
    """What a pass has left at this moment."""
    values = {"pass_id": pass_id, "since": now - WINDOW}
    spent = list(session.execute(_SPENT, values).scalars())
    return Budget(max(ALLOWANCE - len(spent), 0), spent[0] + WINDOW if spent else None)


def audience(
    session: Session, template_id: int, issuer_id: str, *, now: datetime
) -> tuple[int, int]:
    """How many saved passes of a template the issuer has, and how many have a notification left."""
    values = {
        "template_id": template_id,
        "issuer_id": issuer_id,
        "since": now - WINDOW,
        "allowance": ALLOWANCE,
    }
    holders, sounding = session.execute(_AUDIENCE, values).one()
    return int(holders), int(sounding)


def forget_before(session: Session, limit: datetime, *, count: int = 10_000) -> int:
    """Delete up to `count` notifications older than `limit`, which is before any window; returns
    how many went."""
    result = session.execute(_FORGET, {"limit": limit, "count": count})
    return int(getattr(result, "rowcount", 0))


def _written(wishes: Iterable[Wish]) -> str:
    return orjson.dumps([wish._asdict() for wish in wishes]).decode()
