"""`/google/callback`: Google says that somebody saved a pass, or removed it.

Callbacks come late, twice, or not at all. Each is verified, stored in the inbox once (its nonce is
its name there) and acted upon in the same transaction, so that Google's next try of one that we
did not manage finds nothing done. What never came is found by the nightly reconciliation.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import structlog
from flask import Blueprint, Response, jsonify, request
from sqlalchemy import text
from sqlmodel import Session

from walletsvc.core.errors import InputError, TooLarge
from walletsvc.google import due
from walletsvc.google.root_keys import RootKeys
from walletsvc.google.signatures import Event as Word
from walletsvc.google.signatures import EventType, NotGenuine, verify
from walletsvc.jobs.changes import Lane, touch
from walletsvc.passes.events import Event, record
from walletsvc.passes.models import EventKind
from walletsvc.storage import inbox
from walletsvc.web.context import Deps

PATH: Final = "/google/callback"
SOURCE: Final = "google"
_MOST_BYTES: Final = 32 * 1024

# An older word than the last one heard changes nothing: of a pass that was removed and saved again
# the removal may come last. Of two of the same moment the one that comes later counts: each comes
# here once. What Google means by `count` is not known for sure, so a removal is believed; where
# others of a family hold the card still, the nightly comparison finds that.
_HEAR: Final = text("""
UPDATE google_objects o SET
    heard_until = CAST(:until AS timestamptz),
    has_users = CAST(:saved AS boolean),
    saved_at = CASE WHEN :saved THEN CAST(:now AS timestamptz) ELSE o.saved_at END,
    removed_at = CASE WHEN :saved THEN o.removed_at ELSE CAST(:now AS timestamptz) END,
    inserted_at = COALESCE(o.inserted_at, CAST(:now AS timestamptz))
  FROM passes p
 WHERE o.object_id = :object_id AND p.id = o.pass_id
   AND (o.heard_until IS NULL OR o.heard_until <= CAST(:until AS timestamptz))
RETURNING o.pass_id, p.pass_type_id, p.revision <> o.sent_revision AS behind
""")
_KNOWN: Final = text("SELECT 1 FROM google_objects WHERE object_id = :object_id")

log = structlog.get_logger(__name__)


def create(deps: Deps, keys: RootKeys) -> Blueprint:
    """The blueprint; `deps.settings` must name the issuer."""
    blueprint = Blueprint("google_callbacks", __name__)

    @blueprint.post(PATH)
    def callback() -> Response:
        if (request.content_length or 0) > _MOST_BYTES:
            raise TooLarge("A callback is smaller than that.", limit=_MOST_BYTES)
        now = deps.clock()
        try:
            word = verify(
                request.get_data(cache=False), keys.valid(), deps.settings.google_issuer_id, now
            )
        except NotGenuine as error:
            log.warning("a callback is not Google's", fault=error.fault.value)
            raise InputError(f"The callback is not believed: {error.fault.value}.") from None
        with deps.database.write_tx() as session:
            taken = take(session, word, now)
        log.info("a callback", kind=word.kind.value, result=taken)
        return jsonify(result=taken)

    return blueprint


def take(session: Session, word: Word, now: datetime) -> str:
    """Store what Google says and act upon it; what came of it, in a word or two.

    Each event is acted upon once, and none that is older than what was heard since.
    """
    body: dict[str, Any] = word.model_dump(mode="json", by_alias=True)
    stored = inbox.receive(session, source=SOURCE, external_id=word.nonce, body=body, now=now)
    if not stored:
        return "known"
    result = _hear(session, word, now)
    inbox.done(session, source=SOURCE, external_id=word.nonce, remark=result, now=now)
    return result


def _hear(session: Session, word: Word, now: datetime) -> str:
    saved = word.kind is EventType.SAVE
    values = {
        "object_id": word.object_id,
        "until": word.expires_at,
        "saved": saved,
        "now": now,
    }
    heard = session.execute(_HEAR, values).first()
    if heard is None:
        known = session.execute(_KNOWN, {"object_id": word.object_id}).first()
        return "older" if known else "unknown object"
    if saved:
        # Between the insertion and the click on Google's page the balance may have moved. Nobody
        # held the pass then, so nothing was published of it.
        touch(session, "pass", [heard.pass_id], at=now)
    if saved and heard.behind:
        issuer_id = word.object_id.partition(".")[0]
        due.mark(session, [heard.pass_id], issuer_id, lane=Lane.INTERACTIVE, now=now)
    kind = EventKind.SAVED if saved else EventKind.REMOVED
    detail = {} if word.count is None else {"count": word.count}
    record(session, [Event(now, kind, heard.pass_type_id, heard.pass_id, detail=detail)])
    return kind.value
