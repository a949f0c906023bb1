"""Messages to single passes that are due: claim them, settle what was answered.

Google does not know a message by its id: the same one sent twice shows and sounds twice. So a
message that left and was not answered for is looked for in the object before it is sent again.
Until then its row bears `UNANSWERED`; once it was not found `DOUBTFUL`, for Google may still be at
it. If it is not found after that time either it is sent again, without a sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import text
from sqlmodel import Session

from walletsvc.google import budget, waiting
from walletsvc.google.answers import Action
from walletsvc.google.budget import Wish
from walletsvc.google.client import Answer, ApiRequest, object_path
from walletsvc.google.models import BuzzKind, Kind, MessageState
from walletsvc.google.planning import DOUBT
from walletsvc.jobs.changes import Lane

TEXT: Final = "TEXT"
NOTIFYING: Final = "TEXT_AND_NOTIFY"
UNANSWERED: Final = "sent, and not answered for"
DOUBTFUL: Final = "sent, not answered for, and not found yet"
_LOOKED_FOR: Final = (UNANSWERED, DOUBTFUL)

# With the object's lock, which the budget asks for; a message whose object is being settled is
# left for the next look.
_PICK: Final = text(
    "SELECT m.id, m.pass_id, m.message_id, m.body, m.wants_buzz, m.lane, m.attempts, m.error,"  # noqa: S608 - words of ours
    "   m.due_at, o.object_id, o.has_users, c.kind"
    " FROM google_messages m JOIN google_objects o ON o.pass_id = m.pass_id"
    " JOIN google_classes c ON c.id = o.google_class_id"
    f" WHERE m.lane = :lane AND {waiting.CLAIMABLE} AND c.pass_type_id = :pass_type_id"
    " ORDER BY m.due_at LIMIT :limit FOR UPDATE OF m, o SKIP LOCKED"
)
_CLAIM: Final = text(
    "UPDATE google_messages m SET due_at = :mark, attempts = attempts + 1, error = :error"
    " WHERE m.id = ANY(CAST(:ids AS bigint[]))"
)
_UNWANTED: Final = text(
    "UPDATE google_messages SET state = 'refused', error = 'nobody holds the pass any more'"
    " WHERE id = ANY(CAST(:ids AS bigint[]))"
)
_LOCK: Final = text(
    "SELECT id FROM google_messages WHERE id = ANY(CAST(:ids AS bigint[])) AND due_at = :mark"
    " AND state = 'due' ORDER BY id FOR UPDATE"
)
_SETTLE: Final = text(
    "UPDATE google_messages m SET state = n.state, attempts = n.attempts, error = n.error,"
    "   due_at = COALESCE(n.due_at, m.due_at), wants_buzz = n.wants_buzz"
    " FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS n(id bigint, state text, attempts int,"
    "   error text, due_at timestamptz, wants_buzz boolean)"
    " WHERE m.id = n.id"
)
_COUNT: Final = text(
    "UPDATE google_objects o SET messages = COALESCE(n.seen, o.messages + 1)"
    " FROM (SELECT n.pass_id, max(n.seen) AS seen"
    "   FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS n(pass_id bigint, seen int)"
    "   GROUP BY n.pass_id) n"
    " WHERE o.pass_id = n.pass_id"
)
_LOCK_OBJECTS: Final = text(
    "SELECT pass_id FROM google_objects WHERE pass_id = ANY(CAST(:ids AS bigint[]))"
    " ORDER BY pass_id FOR NO KEY UPDATE"
)


@dataclass(frozen=True, slots=True)
class Letter:
    """A claimed message, and what is asked for it: sending it, with a notification (`buzz`) or
    without; or `looks` whether Google has it."""

    id: int
    pass_id: int
    message_id: str
    lane: int
    attempts: int
    error: str
    due_at: datetime
    wants_buzz: bool
    request: ApiRequest
    looks: bool
    buzz: bool


@dataclass(frozen=True, slots=True)
class Post:
    """What is to be asked, its mark, and whether more may be due."""

    letters: list[Letter]
    mark: datetime
    more: bool


def claim(
    session: Session,
    pass_type_id: int,
    lane: Lane,
    *,
    now: datetime,
    lease: timedelta,
    limit: int,
) -> Post:
    """Take up to `limit` due messages of a lane for the time of the lease. Those whose pass nobody
    holds any more are done with."""
    values = {
        "pass_type_id": pass_type_id,
        "lane": int(lane),
        "now": now,
        "limit": limit,
    }
    found = session.execute(_PICK, values).all()
    mark = now + lease
    unwanted = [row.id for row in found if not row.has_users and row.error not in _LOOKED_FOR]
    if unwanted:
        session.execute(_UNWANTED, {"ids": unwanted})
    rows = [row for row in found if row.id not in set(unwanted)]
    # Of several messages of one pass, one at a time: each asks the budget.
    rows = list({row.pass_id: row for row in reversed(rows)}.values())
    wishes = [
        Wish(row.pass_id, row.message_id)
        for row in rows
        if row.wants_buzz and row.error not in _LOOKED_FOR
    ]
    allowed = budget.reserve(session, wishes, BuzzKind.MESSAGE, now=now)
    letters = [_letter(row, row.pass_id in allowed) for row in rows]
    if letters:
        ids = [letter.id for letter in letters]
        session.execute(_CLAIM, {"ids": ids, "mark": mark, "error": UNANSWERED})
    return Post(letters, mark, more=len(found) >= limit)


def _letter(row: Any, allowed: bool) -> Letter:
    looks = row.error in _LOOKED_FOR
    kind = Kind(row.kind)
    buzz = allowed and row.wants_buzz and not looks
    if looks:
        request = ApiRequest("GET", object_path(kind, row.object_id))
    else:
        message = row.body | {
            "id": row.message_id,
            "messageType": NOTIFYING if buzz else TEXT,
        }
        path = object_path(kind, row.object_id, "addMessage") + "?fields=resource(id)"
        request = ApiRequest("POST", path, {"message": message})
    return Letter(
        row.id, row.pass_id, row.message_id, row.lane, row.attempts, row.error, row.due_at,
        row.wants_buzz, request, looks, buzz,
    )  # fmt: skip


@dataclass(slots=True)
class Delivery:
    """What an answer makes of a message. `seen` is how many messages Google was found to hold,
    `counts` that the object holds one more."""

    letter: Letter
    action: Action
    state: MessageState
    attempts: int
    error: str = ""
    due_at: datetime | None = None
    wants_buzz: bool = True
    release: bool = False
    counts: bool = False
    seen: int | None = None


def judge(
    letter: Letter,
    answer: Answer,
    action: Action,
    *,
    error: str,
    now: datetime,
    later: datetime,
    doubt: timedelta = DOUBT,
) -> Delivery:
    """What the answer makes of the row: `now` is at once, `later` after a backoff, `error` the
    refusal in words, and `doubt` how long what is not found may still be applied. Pure."""
    made = Delivery(
        letter, action, MessageState.DUE, letter.attempts + 1, wants_buzz=letter.wants_buzz
    )
    match action:
        case Action.DONE if letter.looks:
            _looked(made, answer, now, doubt)
        case Action.DONE:
            made.state = MessageState.SENT if letter.buzz else MessageState.SILENT
            made.counts = True
        case Action.STOP:
            made.attempts, made.due_at, made.error = letter.attempts, now, letter.error
            made.release = letter.buzz
        case Action.INSERT | Action.CREATE_CLASS:
            # The next PATCH finds the same and inserts it anew, saying all that it should.
            made.state, made.error, made.release = MessageState.REFUSED, error, letter.buzz
        case _ if letter.looks:
            made.due_at, made.error = later, letter.error
        case Action.UNKNOWN:
            made.due_at, made.error = later, UNANSWERED
        case Action.SILENT:
            # What was reserved is spent: by something that we do not know of.
            made.due_at, made.error, made.wants_buzz = now, error, False
        case Action.OURS:
            made.state, made.error, made.release = MessageState.REFUSED, error, letter.buzz
        case _:
            made.due_at, made.error, made.release = later, error, letter.buzz
    return made


def _looked(made: Delivery, answer: Answer, now: datetime, doubt: timedelta) -> None:
    messages = (answer.body or {}).get("messages") or []
    found = [each for each in messages if each.get("id") == made.letter.message_id]
    made.seen, made.counts = len(messages), True
    if not found:
        if made.letter.error == DOUBTFUL:
            # What was reserved for it is spent: it may come, and sound, at any time.
            made.due_at, made.wants_buzz = now, False
        else:
            made.due_at, made.error = now + doubt, DOUBTFUL
        return
    sounded = any(map(sounds, found))
    made.state = MessageState.SENT if sounded else MessageState.SILENT


def sounds(message: dict[str, Any]) -> bool:
    """Whether a message as Google shows it was to notify. Google spells constants as it likes:
    `TEXT_AND_NOTIFY`, `textAndNotify`."""
    return str(message.get("messageType")).replace("_", "").lower() == "textandnotify"


def settle(
    session: Session, deliveries: Sequence[Delivery], mark: datetime, *, now: datetime
) -> list[Delivery]:
    """Write what became of claimed messages; returns those that count."""
    # In the order in which the objects' own settlement takes its locks: objects, then messages.
    ids = sorted({each.letter.pass_id for each in deliveries})
    session.execute(_LOCK_OBJECTS, {"ids": ids})
    values = {"ids": [each.letter.id for each in deliveries], "mark": mark}
    ours = set(session.execute(_LOCK, values).scalars())
    counted = [each for each in deliveries if each.letter.id in ours]
    if not counted:
        return []
    rows = [
        {
            "id": each.letter.id,
            "state": each.state,
            "attempts": each.attempts,
            "error": each.error[:500],
            "due_at": each.due_at,
            "wants_buzz": each.wants_buzz,
        }
        for each in counted
    ]
    session.execute(_SETTLE, {"rows": orjson.dumps(rows).decode(), "now": now})
    budget.release(
        session,
        [Wish(each.letter.pass_id, each.letter.message_id) for each in counted if each.release],
    )
    held = [{"pass_id": e.letter.pass_id, "seen": e.seen} for e in counted if e.counts]
    if held:
        session.execute(_COUNT, {"rows": orjson.dumps(held).decode()})
    return counted


def put_back(session: Session, letters: Sequence[Letter], mark: datetime, *, now: datetime) -> None:
    """These were not asked: they are due again as if they had not been claimed."""
    settle(
        session,
        [
            Delivery(
                letter,
                Action.STOP,
                MessageState.DUE,
                letter.attempts,
                letter.error,
                letter.due_at,
                letter.wants_buzz,
                release=letter.buzz,
            )
            for letter in letters
        ],
        mark,
        now=now,
    )
