"""The click on "Add to Google Wallet": Google gets the object now, the visitor a link to it.

Objects are inserted when somebody wants them, so a shop with a hundred thousand members has no more
at Google than there are wallets. The click notes the wish and waits for the worker, which alone
speaks to Google: so there is one order of requests, one rate, one breaker, and whoever dies in
between leaves a wish that is carried out all the same.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from google.oauth2 import service_account
from sqlalchemy import text
from sqlmodel import Session

from walletsvc.core.clock import Clock
from walletsvc.core.errors import NotFound, Refused, Unavailable
from walletsvc.core.ids import token_hash
from walletsvc.google import breaker, client, due
from walletsvc.google.dialect import GoogleDialect
from walletsvc.google.issuer import ensure_object, find_issuer
from walletsvc.google.links import save_link
from walletsvc.google.models import IssuerState, Kind
from walletsvc.google.wanted import House
from walletsvc.jobs.changes import Lane
from walletsvc.passes.events import Event, record
from walletsvc.passes.models import EventKind, Pass
from walletsvc.passes.publish import Cause, Publisher
from walletsvc.passes.service import Subject, ensure_pass, find_by_link
from walletsvc.settings import Settings
from walletsvc.storage import limits
from walletsvc.storage.engine import Database
from walletsvc.storage.limits import Limit

PATIENCE: Final = 5.0  # seconds; whoever looks at a phone waits no longer
_CLICKS: Final = Limit("google-save", most=12, window=timedelta(minutes=10))
_ASKED: Final = Cause(frozenset({"request"}))
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.25

_STANDING: Final = text("""
SELECT o.object_id, c.class_id, c.kind, o.has_users, o.due_at IS NULL AND o.error <> '' AS refused,
       o.inserted_at IS NOT NULL AND o.sent_revision >= p.revision AS there
  FROM google_objects o JOIN passes p ON p.id = o.pass_id
  JOIN google_classes c ON c.id = o.google_class_id
 WHERE o.pass_id = :pass_id
""")


@dataclass(frozen=True)
class Saver:
    """Makes save links; any number of threads may share it."""

    database: Database
    publisher: Publisher
    dialect: GoogleDialect
    credentials: service_account.Credentials
    pay_url: str
    clock: Clock
    patience: float = PATIENCE

    @classmethod
    def of(
        cls, settings: Settings, database: Database, publisher: Publisher, clock: Clock
    ) -> Saver:
        """The saver of an installation; raises ConfigurationError when its key is no key."""
        return cls(
            database=database,
            publisher=publisher,
            dialect=GoogleDialect(House.of(settings)),
            credentials=client.credentials(settings),
            pay_url=settings.google_pay_url,
            clock=clock,
        )

    def takes(self, session: Session, subject: Subject) -> bool:
        """Whether the card can be added: not one that went to Google under another issuer."""
        known = subject.passes.get(self.dialect.wallet)
        issuer = find_issuer(session, self.dialect.house.issuer_id) if known else None
        return known is None or (issuer is not None and known.pass_type_id == issuer.id)

    def link(self, token: str) -> str:
        """Where the card or certificate with this page token is added to Google Wallet.

        Google has its object by then, as it is now. Raises NotFound for an unknown token, Refused
        for a card that is closed or went to Google under another issuer,
        TooManyTries, and Unavailable when Google was not given the object within the patience of a
        visitor: it will be, so trying again helps.
        """
        now = self.clock()
        limits.take(self.database, [(_CLICKS, token_hash(token).hex()[:32])], now)
        with self.database.write_tx() as session:
            pass_ = self._wish(session, token, now)
            pass_id = pass_.id
        found = self._wait(pass_id)
        return save_link(
            self.credentials,
            pay_url=self.pay_url,
            origin=self.dialect.house.base_url,
            kind=Kind(found.kind),
            object_id=found.object_id,
            class_id=found.class_id,
            now=now,
        )

    def _wish(self, session: Session, token: str, now: datetime) -> Pass:
        """Publish the pass as it is now and have its object sent, unless Google has it so."""
        subject = find_by_link(session, token)
        if subject is None:
            raise NotFound("There is no card at this address.")
        pass_ = ensure_pass(session, subject, self.dialect, now)
        issuer = find_issuer(session, self.dialect.house.issuer_id)
        if issuer is None or pass_.pass_type_id != issuer.id:
            # Its object stays under that issuer, and nothing is sent for it: to wait is in vain.
            raise Refused("This card is in Google Wallet under another issuer.")
        ensure_object(session, pass_, now)
        lane = Lane.INTERACTIVE
        self.publisher.publish(session, [pass_.id], lane=lane, now=now, causes={pass_.id: _ASKED})
        session.refresh(pass_)
        if pass_.content is None or pass_.content.get("voided"):
            raise Refused("This card is not in use any more.")
        opened = {"link": True, "revision": pass_.revision}
        record(session, [Event(now, EventKind.FETCHED, pass_.pass_type_id, pass_.id, None, opened)])
        due.want(session, pass_.id, now=now)
        return pass_

    def _wait(self, pass_id: int) -> Any:
        """The object's row once Google has it. What will not happen is not waited for."""
        deadline = time.monotonic() + self.patience
        pause = _FIRST_PAUSE
        while True:
            with self.database.read_tx() as session:
                row = session.execute(_STANDING, {"pass_id": pass_id}).one()
                # What somebody holds is kept up to date anyway.
                if row.there or row.has_users:
                    return row
                hopeless = row.refused or not self._hopeful(session, deadline)
            if hopeless or time.monotonic() + pause > deadline:
                raise Unavailable("Google Wallet cannot take the card at this moment.")
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _hopeful(self, session: Session, deadline: float) -> bool:
        """Whether anything will be sent before the deadline. During a fault of configuration every
        visitor would otherwise wait in vain, and occupy a thread meanwhile."""
        now = self.clock()
        standing = breaker.standing(session, self.dialect.house.issuer_id, now)
        if standing is None or standing.state is IssuerState.OPEN:
            return True
        if standing.state is IssuerState.PAUSED or standing.retry_at is None:
            return False
        return (standing.retry_at - now).total_seconds() < deadline - time.monotonic()
