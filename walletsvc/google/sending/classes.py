"""Classes, and the announcements to all who hold a class's cards. Few, so one request at a time.

Whether a class has to be sent is seen by its digest: what Google was given, against what template
and shop say now. Google has no delete and takes every class back under review, so that is all
there is to their life.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from walletsvc.google import breaker, budget
from walletsvc.google.answers import Action, action, backoff, explain, label
from walletsvc.google.breaker import Standing
from walletsvc.google.client import Answer, ApiRequest, class_path
from walletsvc.google.message_box import NOTIFYING, TEXT, UNANSWERED, sounds
from walletsvc.google.models import IssuerState, Kind, MessageState
from walletsvc.google.sending.courier import Setup
from walletsvc.google.sending.load import notification
from walletsvc.google.sending.woken import Woken
from walletsvc.google.wanted import WantedClass, classes
from walletsvc.jobs import counters
from walletsvc.jobs.changes import Lane
from walletsvc.jobs.counters import series

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 30.0  # how often classes are compared when nothing is heard
_SOONEST_SECONDS: Final = 2.0
_REFUSED: Final = timedelta(hours=1)  # what Google will not take is not offered again sooner
_KEPT_MESSAGES: Final = 5  # of a class that has as many as Google takes
_MOST_MESSAGES: Final = 9

_ANY: Final = text(
    "SELECT kind, class_id FROM google_classes WHERE pass_type_id = :id ORDER BY id LIMIT 1"
)
_DIGESTS: Final = text("SELECT id, digest FROM google_classes WHERE id = ANY(:ids)")
_CLAIM: Final = text(
    "UPDATE google_classes SET due_at = :until, attempts = attempts + 1"
    " WHERE id = :id AND digest IS DISTINCT FROM :digest AND (due_at IS NULL OR due_at <= :now)"
    " RETURNING digest IS NOT NULL AS known, attempts"
)
_SENT: Final = text(
    "UPDATE google_classes SET digest = :digest, version_id = :version_id,"
    "   review_status = :review_status, synced_at = :now, due_at = NULL, attempts = 0, error = ''"
    " WHERE id = :id"
)
_FAILED: Final = text("UPDATE google_classes SET due_at = :due_at, error = :error WHERE id = :id")
_PICK: Final = text(
    "SELECT m.id, m.google_class_id, m.message_id, m.body, m.wants_buzz, m.attempts, m.error,"
    "   c.class_id, c.kind FROM google_messages m JOIN google_classes c ON c.id = m.google_class_id"
    " WHERE m.state = 'due' AND m.due_at <= :now AND c.pass_type_id = :pass_type_id"
    "   AND c.digest IS NOT NULL"
    " ORDER BY m.due_at, m.id LIMIT 1 FOR UPDATE OF m, c SKIP LOCKED"
)
_CLAIM_MESSAGE: Final = text(
    "UPDATE google_messages SET due_at = :until, attempts = attempts + 1, error = :error"
    " WHERE id = :id"
)
_SETTLE_MESSAGE: Final = text(
    "UPDATE google_messages SET state = :state, error = :error, due_at = COALESCE(:due_at, due_at),"
    "   wants_buzz = :wants_buzz WHERE id = :id AND state = 'due' AND due_at = :until"
)


class Classes(Woken):
    """The thread that keeps classes up to date and sends announcements."""

    def __init__(self, setup: Setup) -> None:
        super().__init__("google-classes")
        self._setup = setup
        self._looked_at = -LOOK_SECONDS
        self._refused: dict[int, tuple[bytes, datetime]] = {}

    def _run(self) -> None:
        stop = self._setup.stop
        while not stop.is_set():
            self._wake.wait(LOOK_SECONDS)
            self._wake.clear()
            if stop.is_set():
                return
            try:
                self.work()
            except OperationalError as error:
                log.warning("the queue for Google cannot be reached", error=str(error.orig).strip())
            except Exception:
                log.exception("Google's classes cannot be looked after")
            # Signals come with every sale; templates change once a month.
            stop.wait(_SOONEST_SECONDS)

    def work(self) -> None:
        """Send what differs, then what is to be announced."""
        setup = self._setup
        wanted = self._wanted()
        with setup.database.read_tx() as session:
            standing = breaker.standing(session, setup.house.issuer_id, setup.clock())
        if standing is not None and standing.state is IssuerState.STOPPED:
            standing = self._probed(standing)
        if standing is None or standing.state is not IssuerState.OPEN:
            return
        for each in wanted:
            if setup.stop.is_set() or not setup.trouble.may_begin(standing):
                return
            self._send(standing, each)
        while not setup.stop.is_set() and self._announce(standing):
            pass

    def _probed(self, standing: Standing) -> Standing | None:
        """How a stopped issuer stands after this thread has tried it, if that is for it to do: the
        couriers find out with what is due, but there may be nothing."""
        setup = self._setup
        if standing.urgent or standing.bulk or not setup.trouble.may_begin(standing):
            return standing
        with setup.database.read_tx() as session:
            known = session.execute(_ANY, {"id": standing.pass_type_id}).first()
        if known is None or not setup.trouble.probe(standing):
            return standing
        # Looking changes nothing, and that there is no such class is an answer as well.
        self._ask(standing, ApiRequest("GET", class_path(Kind(known.kind), known.class_id)))
        with setup.database.read_tx() as session:
            return breaker.standing(session, setup.house.issuer_id, setup.clock())

    def _wanted(self) -> list[WantedClass]:
        """The classes of which Google has another body, or none."""
        setup = self._setup
        with setup.database.write_tx() as session:
            wanted = classes(session, setup.house, setup.clock())
            ids = [each.google_class_id for each in wanted]
            known = {row.id: row.digest for row in session.execute(_DIGESTS, {"ids": ids})}
        return [each for each in wanted if known.get(each.google_class_id) != each.digest]

    def _send(self, standing: Standing, wanted: WantedClass) -> None:
        setup, now = self._setup, self._setup.clock()
        refused = self._refused.get(wanted.google_class_id)
        if refused is not None and refused[0] == wanted.digest and refused[1] > now:
            return
        claim = {
            "id": wanted.google_class_id,
            "digest": wanted.digest,
            "now": now,
            "until": now + setup.lease,
        }
        with setup.database.write_tx() as session:
            claimed = session.execute(_CLAIM, claim).first()
        if claimed is None:
            return
        answer = self._ask(standing, _insert(wanted) if not claimed.known else _patch(wanted))
        if answer is not None and action(answer) is Action.PATCH:
            answer = self._ask(standing, _patch(wanted))
        elif answer is not None and action(answer) in (Action.INSERT, Action.CREATE_CLASS):
            answer = self._ask(standing, _insert(wanted))
        self._settle(wanted, answer, claimed.attempts)

    def _settle(self, wanted: WantedClass, answer: Answer | None, attempts: int) -> None:
        setup, now = self._setup, self._setup.clock()
        values: dict[str, Any] = {"id": wanted.google_class_id, "now": now}
        if answer is not None and answer.ok:
            body = answer.body or {}
            values |= {
                "digest": wanted.digest,
                "version_id": wanted.version_id,
                "review_status": str(body.get("reviewStatus") or "")[:40],
            }
            statement = _SENT
            log.info("a class was sent to Google", class_id=wanted.class_id)
        else:
            due_at = now + backoff(attempts, setup.rng)
            if answer is not None and action(answer) is Action.OURS:
                self._refused[wanted.google_class_id] = (wanted.digest, now + _REFUSED)
                due_at = now
            error = explain(answer) if answer is not None else ""
            values |= {"due_at": due_at, "error": error[:500]}
            statement = _FAILED
            if error:
                log.error("Google does not take a class", class_id=wanted.class_id, reason=error)
        with setup.database.write_tx() as session:
            session.execute(statement, values)

    def _ask(self, standing: Standing, request: ApiRequest) -> Answer | None:
        """One call in its turn; None when none comes."""
        setup = self._setup
        patience = setup.lease.total_seconds() / 4
        in_time = setup.limiter.wait(
            standing.pass_type_id,
            1,
            Lane.INTERACTIVE,
            clock=setup.clock,
            stop=setup.stop,
            patience=patience,
        )
        if not in_time:
            return None
        answer = setup.client.call(request)
        with setup.database.write_tx() as session:
            counters.add(session, {series("google_requests", answer=label(answer)): 1})
        setup.trouble.learn(standing, [answer])
        return answer

    def _announce(self, standing: Standing) -> bool:
        """Send one announcement; whether there was one."""
        setup, now = self._setup, self._setup.clock()
        until = now + setup.lease
        with setup.database.write_tx() as session:
            values = {"now": now, "pass_type_id": standing.pass_type_id}
            row = session.execute(_PICK, values).first()
            if row is None:
                return False
            buzz = row.wants_buzz and budget.reserve_class(
                session, row.google_class_id, row.message_id, now=now
            )
            session.execute(_CLAIM_MESSAGE, {"id": row.id, "until": until, "error": UNANSWERED})
        # What the class holds is looked at in any case: whether it has this one already, and
        # whether it has room.
        seen = self._ask(standing, ApiRequest("GET", class_path(Kind(row.kind), row.class_id)))
        if seen is None or not seen.ok:
            # Nothing was sent by this claim: what was known before is still all that is known.
            self._announced(row, seen, until, sent=False, buzz=False)
            return False
        held = (seen.body or {}).get("messages") or []
        there = [each for each in held if each.get("id") == row.message_id]
        if there:
            self._announced(row, seen, until, sent=True, buzz=any(map(sounds, there)))
            return True
        if len(held) >= _MOST_MESSAGES and not self._make_room(standing, row, seen.body or {}):
            self._announced(row, None, until, sent=False, buzz=buzz)
            return False
        message = row.body | {"id": row.message_id, "messageType": NOTIFYING if buzz else TEXT}
        path = class_path(Kind(row.kind), row.class_id, "addMessage")
        answer = self._ask(standing, ApiRequest("POST", path, {"message": message}))
        self._announced(row, answer, until, sent=True, buzz=buzz)
        return answer is not None and answer.ok

    def _make_room(self, standing: Standing, row: Any, seen: dict[str, Any]) -> bool:
        """Keep the newest messages of a class only, as mere texts: none is to sound again."""
        messages: Sequence[dict[str, Any]] = seen["messages"][-_KEPT_MESSAGES:]
        kept = [
            {name: value for name, value in each.items() if name != "kind"} | {"messageType": TEXT}
            for each in messages
        ]
        body = {"messages": kept, "reviewStatus": "UNDER_REVIEW"}
        path = class_path(Kind(row.kind), row.class_id)
        answer = self._ask(standing, ApiRequest("PATCH", path, body))
        return answer is not None and answer.ok

    def _announced(
        self, row: Any, answer: Answer | None, until: datetime, *, sent: bool, buzz: bool
    ) -> None:
        setup, now = self._setup, self._setup.clock()
        decided = action(answer) if answer is not None else Action.RETRY
        error = explain(answer)[:500] if answer is not None and not answer.ok else ""
        due_at: datetime | None = now + backoff(row.attempts + 1, setup.rng)
        state, wants_buzz, release = MessageState.DUE, bool(row.wants_buzz), False
        if not sent:
            error = row.error
        elif decided is Action.DONE:
            state, due_at = (MessageState.SENT if buzz else MessageState.SILENT), None
        elif decided is Action.UNKNOWN:
            # Google may still be at it: it is not looked for, and sent again, before.
            error, due_at = UNANSWERED, now + setup.doubt
        elif decided is Action.SILENT:
            wants_buzz, due_at = False, now
        elif decided is Action.OURS:
            state, release = MessageState.REFUSED, buzz
        else:
            release = buzz
        values = {
            "id": row.id,
            "state": state,
            "error": error,
            "due_at": due_at,
            "wants_buzz": wants_buzz,
            "until": until,
        }
        with setup.database.write_tx() as session:
            session.execute(_SETTLE_MESSAGE, values)
            if release:
                budget.release_class(session, row.google_class_id, row.message_id)
            if state in (MessageState.SENT, MessageState.SILENT):
                outcome = "sent" if state is MessageState.SENT else "budget"
                if state is MessageState.SENT or wants_buzz:
                    counters.add(session, {notification("announcement", outcome): 1})
            elif sent and decided is Action.SILENT:
                counters.add(session, {notification("announcement", "refused"): 1})


def _insert(wanted: WantedClass) -> ApiRequest:
    return ApiRequest("POST", class_path(wanted.kind), wanted.body)


def _patch(wanted: WantedClass) -> ApiRequest:
    body = {name: value for name, value in wanted.body.items() if name != "id"}
    return ApiRequest("PATCH", class_path(wanted.kind, wanted.class_id), body)
