"""The objects that are due, in the database: claim them, settle what was answered.

A claim moves `due_at` past the lease instead of holding a lock, so requests are sent outside any
transaction and a dead worker's rows come back by themselves. The moment it is moved to is the
claim's mark: a settlement touches only rows that still bear it. Whoever marks a row as due leaves
a claimed one alone (`due.mark`), and the settlement sees for itself that the pass has moved on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import text
from sqlmodel import Session

from walletsvc.core.ids import public_id
from walletsvc.google import budget
from walletsvc.google.answers import Action
from walletsvc.google.budget import Wish
from walletsvc.google.models import BuzzKind, Kind
from walletsvc.google.planning import Held, Outcome, Plan, Step, plan, silenced
from walletsvc.google.wanted import House, objects
from walletsvc.jobs.changes import Lane

# Messages that tell of a change bear this: what was not sent yet is replaced by the next one.
CHANGE: Final = "change-"

_PICK: Final = text(
    "SELECT o.pass_id, o.object_id, c.kind, o.google_class_id,"
    "   o.inserted_at IS NOT NULL AS inserted, o.has_users, o.sent_revision, o.sent_values,"
    "   o.messages, o.lane, o.attempts, o.attempt,"
    "   (SELECT m.before FROM google_messages m WHERE m.pass_id = o.pass_id AND m.state = 'due'"
    "     AND m.attempts = 0 AND starts_with(m.message_id, :prefix) LIMIT 1) AS untold,"
    "   o.due_at, o.messages > 0 AND EXISTS (SELECT FROM google_messages m"
    "     WHERE m.pass_id = o.pass_id AND m.state = 'due' AND m.attempts > 0) AS busy"
    " FROM google_objects o JOIN google_classes c ON c.id = o.google_class_id"
    " WHERE o.lane = :lane AND o.due_at <= :now AND c.pass_type_id = :pass_type_id"
    " ORDER BY o.due_at LIMIT :limit FOR UPDATE OF o SKIP LOCKED"
)
_CLAIM: Final = text(
    "UPDATE google_objects o SET due_at = n.due_at, attempts = n.attempts, attempt = n.attempt"
    " FROM jsonb_to_recordset(CAST(:rows AS jsonb))"
    "   AS n(pass_id bigint, due_at timestamptz, attempts int, attempt jsonb)"
    " WHERE o.pass_id = n.pass_id"
)
# Locked first, by a statement of its own: the next one then sees every revision whose publisher
# had the lock before us, and whoever comes after us finds the row not due and marks it.
_LOCK: Final = text(
    "SELECT o.pass_id FROM google_objects o"
    " JOIN unnest(CAST(:ids AS bigint[]), CAST(:marks AS timestamptz[])) AS n(pass_id, mark)"
    "   ON n.pass_id = o.pass_id AND n.mark = o.due_at"
    " ORDER BY o.pass_id FOR UPDATE OF o"
)
_SETTLE: Final = text(
    "UPDATE google_objects o SET sent_revision = n.sent_revision, sent_values = n.sent_values,"
    "   attempt = n.attempt, attempts = n.attempts, error = n.error, messages = n.messages,"
    "   inserted_at = CASE WHEN n.inserted THEN COALESCE(o.inserted_at, :now) END,"
    "   due_at = CASE WHEN n.due_at IS NOT NULL THEN n.due_at"
    "     WHEN p.revision <> n.revision THEN CAST(:now AS timestamptz) END"
    " FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS n(pass_id bigint, revision int,"
    "   sent_revision int, sent_values jsonb, attempt jsonb, attempts int, error text,"
    "   messages int, inserted boolean, due_at timestamptz)"
    " JOIN passes p ON p.id = n.pass_id"
    " WHERE o.pass_id = n.pass_id"
)
# One message tells of all changes that were not told yet, those of the message that it replaces
# too. It keeps its place in the queue.
_REPLACE: Final = text(
    "WITH new AS MATERIALIZED ("
    "  SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb))"
    "    AS n(pass_id bigint, message_id text, body jsonb, with_untold jsonb, before jsonb,"
    "      wants_buzz boolean, lane int)"
    "), old AS ("
    "  DELETE FROM google_messages m USING new"
    "  WHERE m.pass_id = new.pass_id AND m.state = 'due' AND m.attempts = 0"
    "    AND starts_with(m.message_id, :prefix)"
    "  RETURNING m.pass_id, m.created_at, m.wants_buzz, m.lane, m.before"
    ") INSERT INTO google_messages (pass_id, message_id, body, before, wants_buzz, state, lane,"
    "   due_at, attempts, error, created_at)"
    " SELECT new.pass_id, new.message_id,"
    "   CASE WHEN count(old.before) > 0 THEN new.with_untold ELSE new.body END,"
    "   COALESCE(jsonb_agg(old.before) FILTER (WHERE old.before IS NOT NULL) -> 0, new.before),"
    "   new.wants_buzz OR COALESCE(bool_or(old.wants_buzz), false), 'due',"
    "   LEAST(new.lane, min(old.lane)), :now, 0, '', COALESCE(min(old.created_at), :now)"
    " FROM new LEFT JOIN old ON old.pass_id = new.pass_id"
    " GROUP BY new.pass_id, new.message_id, new.body, new.with_untold, new.before,"
    "   new.wants_buzz, new.lane"
)
_NO_CLASS: Final = text(
    "UPDATE google_classes SET digest = NULL, due_at = NULL WHERE id = ANY(CAST(:ids AS bigint[]))"
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What is to be asked, its mark, and whether more may be due."""

    steps: list[Step]
    mark: datetime
    more: bool


def claim(
    session: Session,
    pass_type_id: int,
    lane: Lane,
    house: House,
    *,
    now: datetime,
    lease: timedelta,
    limit: int,
) -> Claim:
    """Take up to `limit` due objects of a lane for the time of the lease, and decide what to ask
    for each. Those for which there is nothing to ask are done with."""
    values = {"pass_type_id": pass_type_id, "lane": int(lane), "now": now, "limit": limit}
    values["prefix"] = CHANGE
    held = [
        Held(**{**row._mapping, "kind": Kind(row.kind)}) for row in session.execute(_PICK, values)
    ]
    mark = now + lease
    if not held:
        return Claim([], mark, more=False)
    wanted = objects(session, [each.pass_id for each in held], house)
    steps = _affordable(session, [plan(each, wanted.get(each.pass_id)) for each in held], now)
    rows = [
        {
            "pass_id": step.held.pass_id,
            "due_at": None if step.plan is Plan.NOTHING else mark,
            "attempts": 0 if step.plan is Plan.NOTHING else step.held.attempts + 1,
            "attempt": step.attempt,
        }
        for step in steps
    ]
    session.execute(_CLAIM, {"rows": orjson.dumps(rows).decode()})
    asked = [step for step in steps if step.plan is not Plan.NOTHING]
    return Claim(asked, mark, more=len(held) >= limit)


def _affordable(session: Session, steps: list[Step], now: datetime) -> list[Step]:
    """The steps with only those notifications that the budget still has."""
    wishes = [Wish(step.held.pass_id, step.key) for step in steps if step.key is not None]
    allowed = budget.reserve(session, wishes, BuzzKind.UPDATE, now=now)
    return [
        silenced(step) if step.key is not None and step.held.pass_id not in allowed else step
        for step in steps
    ]


def settle(
    session: Session, outcomes: Sequence[Outcome], mark: datetime, *, now: datetime
) -> list[Outcome]:
    """Write what became of claimed objects; returns the outcomes that count: of rows whose lease
    ran out somebody else has taken care."""
    values = {
        "ids": [outcome.step.held.pass_id for outcome in outcomes],
        "marks": [mark] * len(outcomes),
    }
    ours = set(session.execute(_LOCK, values).scalars())
    counted = [outcome for outcome in outcomes if outcome.step.held.pass_id in ours]
    if not counted:
        return []
    rows = [_row(outcome) for outcome in counted]
    session.execute(_SETTLE, {"rows": orjson.dumps(rows).decode(), "now": now})
    budget.release(
        session,
        [Wish(each.step.held.pass_id, each.release) for each in counted if each.release],
    )
    messages = [_message(each) for each in counted if each.message is not None]
    if messages:
        values = {"rows": orjson.dumps(messages).decode(), "prefix": CHANGE, "now": now}
        session.execute(_REPLACE, values)
    missing = {each.step.held.google_class_id for each in counted if each.no_class}
    if missing:
        session.execute(_NO_CLASS, {"ids": sorted(missing)})
    return counted


def _row(outcome: Outcome) -> dict[str, Any]:
    return {
        "pass_id": outcome.step.held.pass_id,
        "revision": outcome.revision,
        "sent_revision": outcome.sent_revision,
        "sent_values": outcome.sent_values,
        "attempt": outcome.attempt,
        "attempts": outcome.attempts,
        "error": outcome.error[:500],
        "messages": outcome.messages,
        "inserted": outcome.inserted,
        "due_at": outcome.due_at,
    }


def _message(outcome: Outcome) -> dict[str, Any]:
    step = outcome.step
    return {
        "pass_id": step.held.pass_id,
        "message_id": f"{CHANGE}{public_id()}",
        "body": outcome.message,
        "with_untold": step.with_untold or outcome.message,
        "before": step.held.sent_values,
        "wants_buzz": not step.told,
        "lane": step.held.lane,
    }


def put_back(session: Session, steps: Sequence[Step], mark: datetime, *, now: datetime) -> None:
    """These were not asked: they are due again as if they had not been claimed."""
    outcomes = [
        Outcome(
            step,
            action=Action.STOP,
            revision=step.revision,
            sent_revision=step.held.sent_revision,
            sent_values=step.held.sent_values,
            attempt=step.held.attempt,
            inserted=step.held.inserted,
            attempts=step.held.attempts,
            messages=step.held.messages,
            due_at=step.held.due_at,
            release=step.key,
        )
        for step in steps
    ]
    settle(session, outcomes, mark, now=now)
