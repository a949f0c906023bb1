"""The circuit breaker of the Google issuer: one row for all workers of an installation.

A fault that concerns everything that is sent stops the issuer: nothing is sent, nothing is lost
or deleted, until `retry_at`, when one worker tries one batch. What it learns either opens the
breaker or puts the next try off, longer each time. A pause lasts until the operator resumes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlmodel import Session

from walletsvc.core.actor import Actor
from walletsvc.core.errors import NotFound
from walletsvc.google import waiting
from walletsvc.google.due import GOOGLE
from walletsvc.google.issuer import OUR_CLASSES
from walletsvc.google.models import IssuerState
from walletsvc.storage.engine import signal

# How long a worker has to find out with one batch whether it works again.
PROBE: Final = timedelta(seconds=60)
_MOST_REASON: Final = 500

# All that a worker needs to know, in one look.
_STANDING: Final = text(
    "SELECT i.pass_type_id, i.state, i.retry_at, i.failures,"  # noqa: S608 - words of ours
    f"  {waiting.due(0, 'i.pass_type_id')} AS urgent,"
    f"  {waiting.due(1, 'i.pass_type_id')} AS bulk,"
    "   EXISTS (SELECT FROM google_messages m JOIN google_classes c ON c.id = m.google_class_id"
    "     WHERE m.due_at <= :now AND m.state = 'due' AND c.pass_type_id = i.pass_type_id)"
    "   AS announcements"
    " FROM google_issuers i JOIN pass_types t ON t.id = i.pass_type_id"
    " WHERE t.wallet = 'google' AND t.identifier = :issuer_id"
)
_STOP: Final = text(
    "UPDATE google_issuers SET state = 'stopped', reason = :reason,"
    "   failures = GREATEST(failures, :failures),"
    "   since = CASE WHEN state = 'stopped' THEN since ELSE :now END, retry_at = :retry_at"
    " WHERE pass_type_id = :id AND state <> 'paused'"
)
_PROBE: Final = text(
    "UPDATE google_issuers SET retry_at = :until"
    " WHERE pass_type_id = :id AND state = 'stopped' AND retry_at <= :now RETURNING failures"
)
_WORKS: Final = text(
    "UPDATE google_issuers SET state = 'open', reason = '', failures = 0, retry_at = NULL,"
    "   since = :now WHERE pass_type_id = :id AND state = 'stopped'"
)
_PAUSE: Final = text(
    "UPDATE google_issuers SET state = 'paused', reason = :reason, failures = 0, since = :now,"
    "   retry_at = NULL WHERE state <> 'paused' AND pass_type_id = ANY(:ids)"
)
_RESUME: Final = text(
    "UPDATE google_issuers SET state = 'open', reason = '', failures = 0, since = :now,"
    "   retry_at = NULL WHERE pass_type_id = ANY(:ids)"
)
_STATUS: Final = text(
    "SELECT i.pass_type_id, t.identifier, i.state, i.reason, i.failures, i.since, i.retry_at"
    " FROM google_issuers i JOIN pass_types t ON t.id = i.pass_type_id ORDER BY t.identifier"
)
_OURS: Final = "google_class_id IN (SELECT id FROM ours)"
_FIGURES: Final = text(
    f"WITH ours AS MATERIALIZED ({OUR_CLASSES}), mail AS ("  # noqa: S608 - words of ours
    "   SELECT m.created_at, COALESCE(m.google_class_id, o.google_class_id) AS google_class_id"
    "   FROM google_messages m LEFT JOIN google_objects o ON o.pass_id = m.pass_id"
    "   WHERE m.state = 'due')"
    " SELECT (SELECT count(*) FROM google_objects"
    f"    WHERE due_at IS NOT NULL AND lane = 0 AND {_OURS}) AS urgent,"
    "  (SELECT count(*) FROM google_objects"
    f"    WHERE due_at IS NOT NULL AND lane = 1 AND {_OURS}) AS bulk,"
    f" (SELECT count(*) FROM mail WHERE {_OURS}) AS messages,"
    f" (SELECT min(created_at) FROM mail WHERE {_OURS}) AS oldest_message,"
    "  (SELECT count(*) FROM google_objects"
    f"    WHERE error <> '' AND due_at IS NULL AND {_OURS}) AS refused,"
    "  (SELECT count(*) FROM google_classes"
    "     WHERE error <> '' AND id IN (SELECT id FROM ours)) AS classes,"
    f" (SELECT count(*) FROM google_objects WHERE has_users AND {_OURS}) AS held"
)

_REFUSALS: Final = text(
    f"WITH ours AS MATERIALIZED ({OUR_CLASSES})"  # noqa: S608 - words of ours
    " (SELECT class_id AS what, error FROM google_classes"
    "   WHERE error <> '' AND id IN (SELECT id FROM ours) ORDER BY id LIMIT :most)"
    " UNION ALL (SELECT object_id, error FROM google_objects"
    f"   WHERE error <> '' AND due_at IS NULL AND {_OURS} ORDER BY pass_id LIMIT :most)"
)


class Standing(NamedTuple):
    """What a worker must know of the issuer before it sends."""

    pass_type_id: int
    state: IssuerState
    retry_at: datetime | None
    failures: int
    urgent: bool
    bulk: bool
    announcements: bool


@dataclass(frozen=True)
class IssuerStatus:
    """An issuer as an operator sees it. `reason`, `since` and `retry_at` say more about one for
    which nothing is sent."""

    issuer_id: str
    state: IssuerState
    reason: str
    failures: int
    since: datetime
    retry_at: datetime | None


class Figures(NamedTuple):
    """Of one issuer what waits, by lane; messages that wait, and since when the oldest; objects
    and classes that Google refused for good; and how many passes sit in a wallet."""

    urgent: int
    bulk: int
    messages: int
    oldest_message: datetime | None
    refused: int
    classes: int
    held: int


def standing(session: Session, issuer_id: str, now: datetime) -> Standing | None:
    """How things stand; None as long as no card ever went to Google."""
    row = session.execute(_STANDING, {"issuer_id": issuer_id, "now": now}).first()
    return Standing(*row)._replace(state=IssuerState(row.state)) if row else None


def is_open(session: Session, pass_type_id: int) -> bool:
    """Whether something may be sent for the issuer."""
    found = session.execute(
        text("SELECT state FROM google_issuers WHERE pass_type_id = :id"), {"id": pass_type_id}
    ).scalar()
    return found is None or found == IssuerState.OPEN


def stop(
    session: Session,
    pass_type_id: int,
    *,
    reason: str,
    failures: int,
    retry_at: datetime,
    now: datetime,
) -> None:
    """Send nothing before `retry_at`. The operator's pause is not written over."""
    values = {"id": pass_type_id, "failures": failures, "retry_at": retry_at, "now": now}
    session.execute(_STOP, values | {"reason": reason[:_MOST_REASON]})


def begin_probe(session: Session, pass_type_id: int, now: datetime) -> bool:
    """Whether this worker is the one that tries a stopped issuer now."""
    values = {"id": pass_type_id, "now": now, "until": now + PROBE}
    return session.execute(_PROBE, values).first() is not None


def works(session: Session, pass_type_id: int, now: datetime) -> None:
    """Google did what it was asked: a stopped issuer is open again."""
    session.execute(_WORKS, {"id": pass_type_id, "now": now})


def status(session: Session) -> list[IssuerStatus]:
    """Every issuer, by its id."""
    return [
        IssuerStatus(
            row.identifier, IssuerState(row.state), row.reason, row.failures, row.since,
            row.retry_at,
        )
        for row in session.execute(_STATUS)
    ]  # fmt: skip


def status_of(session: Session, issuer_id: str) -> IssuerStatus | None:
    """The issuer with this id; None as long as no card ever went to Google under it."""
    return next((each for each in status(session) if each.issuer_id == issuer_id), None)


def figures(session: Session, issuer_id: str) -> Figures:
    """What of the issuer waits and was refused. Counts rows: for people, not for every second."""
    return Figures(*session.execute(_FIGURES, {"issuer_id": issuer_id}).one())


def refusals(session: Session, issuer_id: str, most: int = 10) -> list[tuple[str, str]]:
    """The issuer's classes and objects that Google does not take, with its reason; a few of
    each."""
    found = session.execute(_REFUSALS, {"issuer_id": issuer_id, "most": most})
    return [(row.what, row.error) for row in found]


def pause(session: Session, issuer_id: str | None, *, actor: Actor, now: datetime) -> list[str]:
    """Send nothing for an issuer (None: for any) until resumed; returns which they are.

    Raises NotFound for an unknown one.
    """
    return _said(session, _PAUSE, issuer_id, reason=f"Paused by {actor}.", now=now)


def resume(session: Session, issuer_id: str | None, *, now: datetime) -> list[str]:
    """Send again, at once; returns for which issuers. Raises NotFound for an unknown one."""
    return _said(session, _RESUME, issuer_id, now=now)


def _said(session: Session, statement: Any, issuer_id: str | None, **values: Any) -> list[str]:
    found: list[Row[Any]] = [
        row for row in session.execute(_STATUS) if issuer_id in (None, row.identifier)
    ]
    if issuer_id is not None and not found:
        raise NotFound(f"There is no Google issuer '{issuer_id}'.")
    session.execute(statement, {"ids": [row.pass_type_id for row in found], **values})
    signal(session, GOOGLE)
    return [row.identifier for row in found]
