"""What gateways tell us: stored when it comes, acted upon by a job, each thing once.

Only what was understood is stored, and no more of it than is needed: news of deliveries carry the
text of a code with some gateways. What came from a phone is emptied when it was acted upon.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col, select

from walletsvc.core.errors import NotFound
from walletsvc.jobs import events, queue
from walletsvc.messaging.gateways import adapter_of
from walletsvc.messaging.models import Gateway
from walletsvc.messaging.protocol import CallGateway, Fate, Hook, SmsGateway, Status
from walletsvc.messaging.sending import noting
from walletsvc.storage import inbox
from walletsvc.storage.columns import keyring
from walletsvc.storage.engine import Database
from walletsvc.storage.inbox import InboxEntry

log = structlog.get_logger(__name__)

SOURCE: Final = "messages"
TASK: Final = "messages:hooks"
WHATS: Final = ("status", "inbound", "call")
# A gateway may tell of a delivery before we noted that it has the message.
PATIENCE: Final = timedelta(minutes=10)
# A call without an id that is told again would prove what was begun after it: so long after one,
# another from the same phone is taken for the same.
SAME_CALL: Final = timedelta(minutes=10)
_GIVEN_UP: Final = timedelta(days=1)
_MOST_TEXT: Final = 1000


def find_gateway(session: Session, gateway_id: str, secret: str) -> Gateway:
    """The gateway whose webhook address this is; raises NotFound for a wrong one, not saying
    what is wrong about it. A closed one still hears of what it sent."""
    gateway = session.exec(select(Gateway).where(Gateway.public_id == gateway_id)).first()
    expected = gateway.hook_secret if gateway is not None else ""
    if not hmac.compare_digest(expected.encode(), secret.encode()) or gateway is None:
        raise NotFound("There is nothing at this address.")
    return gateway


def receive(session: Session, gateway: Gateway, what: str, hook: Hook, now: datetime) -> str:
    """Store what a gateway tells, in the caller's transaction; what to answer it."""
    adapter = adapter_of(gateway)
    new = False
    for name, body in _understood(adapter, what, hook, now):
        new |= inbox.receive(
            session,
            source=SOURCE,
            external_id=f"{gateway.public_id}:{name}"[:200],
            body={"gateway": gateway.id, "what": what, **body},
            now=now,
        )
    if new:
        queue.defer(session, TASK, lock=TASK)
    return adapter.thanks


def _understood(
    adapter: Any, what: str, hook: Hook, now: datetime
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each thing that is told, by a name that is the same when it is told again."""
    if what == "status" and isinstance(adapter, SmsGateway):
        for news in adapter.parse_status(hook):
            body = {"id": news.external_id, "fate": news.fate.value, "reason": news.reason[:100]}
            yield f"status:{news.external_id}:{news.fate}", body
    if what == "inbound" and isinstance(adapter, SmsGateway):
        for told in adapter.parse_inbound(hook):
            # Without an id a repetition is known by its minute.
            seen = f"{told.phone}:{told.text}:{now:%Y%m%d%H%M}"
            name = told.external_id or hashlib.sha256(seen.encode()).hexdigest()
            yield f"inbound:{name}", {"phone": told.phone, "text": told.text[:_MOST_TEXT]}
    if what == "call" and isinstance(adapter, CallGateway):
        for call in adapter.parse_call(hook):
            name = f"id:{call.external_id}" if call.external_id else _nameless(call.phone, now)
            yield f"call:{name}", {"id": call.external_id, "phone": call.phone}


def _nameless(phone: str, at: datetime) -> str:
    """What a call is called for want of an id: that phone's of this minute."""
    return f"{keyring().lookup_hash(f'call from {phone}').hex()}:{at:%Y%m%d%H%M}"


def _told_before(session: Session, entry: InboxEntry, gateway: Gateway) -> bool:
    """Whether a call without an id came from that phone shortly before this one."""
    names = [
        f"{gateway.public_id}:call:{_nameless(entry.body['phone'], entry.received_at - ago)}"
        for ago in (timedelta(minutes=each) for each in range(SAME_CALL // timedelta(minutes=1)))
    ]
    same = select(InboxEntry.id).where(
        InboxEntry.source == SOURCE,
        col(InboxEntry.external_id).in_(names),
        col(InboxEntry.id) < entry.id,
    )
    return session.exec(same.limit(1)).first() is not None


def work_through(database: Database, now: datetime) -> int:
    """Act upon all that waits, each in a transaction of its own; how many were dealt with."""
    done, after = 0, 0
    while True:
        with database.write_tx() as session:
            entry = session.exec(
                select(InboxEntry)
                .where(
                    InboxEntry.source == SOURCE,
                    col(InboxEntry.processed_at).is_(None),
                    col(InboxEntry.id) > after,
                )
                .order_by(col(InboxEntry.id))
                .limit(1)
                .with_for_update(skip_locked=True)
            ).first()
            if entry is None:
                return done
            after = entry.id
            done += _deal_with(session, entry, now)


def _deal_with(session: Session, entry: InboxEntry, now: datetime) -> bool:
    try:
        with session.begin_nested():
            remark = _act(session, entry, now)
    except OperationalError:
        raise
    except Exception:
        log.exception("what a gateway told could not be dealt with", entry=entry.id)
        remark = "failed" if now - entry.received_at > _GIVEN_UP else None
    if remark is None:
        return False
    entry.processed_at, entry.remark = now, remark
    entry.body = {"what": entry.body.get("what")}
    return True


def _act(session: Session, entry: InboxEntry, now: datetime) -> str | None:
    """What came of it in a word; None: not yet."""
    body, told_at = entry.body, entry.received_at  # it counts from then, however late we are
    gateway = session.get_one(Gateway, body["gateway"])
    if body["what"] == "status":
        status = Status(body["id"], Fate(body["fate"]), body["reason"])
        if noting.told(session, gateway.id, status, now):
            return status.fate.value
        return "unknown message" if now - entry.received_at > PATIENCE else None
    if body["what"] == "inbound":
        events.emit(
            session,
            events.MessageReceived(
                told_at, gateway.organisation_id, body["phone"], body["text"], gateway.id
            ),
        )
        return "received"
    if not body["id"] and _told_before(session, entry, gateway):
        return "told before"
    events.emit(
        session,
        events.CallReceived(told_at, gateway.organisation_id, body["phone"], body["id"]),
    )
    return "called"
