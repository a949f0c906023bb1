"""Google's side of publishing: which passes sit in a wallet, and that their objects are due."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.core.ids import public_id
from walletsvc.google import budget, due, preflight
from walletsvc.google.due import GOOGLE
from walletsvc.google.issuer import ensure_class, ensure_issuer
from walletsvc.google.models import GoogleMessage, MessageState
from walletsvc.google.rendering.texts import both, present, root_of
from walletsvc.google.wanted import House
from walletsvc.jobs.changes import Lane
from walletsvc.passes.findings import Finding
from walletsvc.passes.models import PassTemplate, Wallet
from walletsvc.passes.protocol import Announcement, Candidate
from walletsvc.storage.engine import signal

_PASS_TYPES = text("SELECT DISTINCT pass_type_id FROM google_classes WHERE template_id = ANY(:ids)")
_HELD = text(
    "SELECT o.pass_id FROM google_objects o"
    " JOIN passes p ON p.id = o.pass_id JOIN pass_types t ON t.id = p.pass_type_id"
    " WHERE o.pass_id = ANY(:ids) AND o.has_users AND t.identifier = :issuer_id"
)
_WAITING = text(
    "SELECT count(*) FROM (SELECT FROM google_objects o"
    "   JOIN google_classes c ON c.id = o.google_class_id"
    "   WHERE c.pass_type_id = :pass_type_id AND o.lane = :lane AND o.due_at IS NOT NULL"
    "   LIMIT :most) waiting"
    " WHERE CAST(:standing AS boolean) OR NOT EXISTS (SELECT FROM google_issuers"
    "   WHERE pass_type_id = :pass_type_id AND state <> 'open')"
)


class GoogleDialect:
    """Publishing for Google Wallet: Google keeps a copy of each pass that we bring up to date."""

    wallet = Wallet.GOOGLE

    def __init__(self, house: House) -> None:
        """What of the installation stands in every object."""
        self.house: Final = house
        self.look = f"{house.base_url} {house.language}".encode()

    def pass_type_id(
        self,
        session: Session,
        template: PassTemplate,  # noqa: ARG002 - one issuer issues for all
        now: datetime,
    ) -> int:
        """The issuer's."""
        return ensure_issuer(session, self.house.issuer_id, now).id

    def pass_types(self, session: Session, template_ids: Sequence[int]) -> set[int]:
        """The issuers under which the templates have classes."""
        return set(session.execute(_PASS_TYPES, {"ids": list(template_ids)}).scalars())

    def held(self, session: Session, pass_ids: Sequence[int]) -> set[int]:
        """The passes of this issuer that somebody has saved, as far as Google has told."""
        if not pass_ids:
            return set()
        values = {"ids": list(pass_ids), "issuer_id": self.house.issuer_id}
        return set(session.execute(_HELD, values).scalars())

    def notify(
        self, session: Session, pass_ids: Sequence[int], *, lane: Lane, now: datetime
    ) -> None:
        """The objects of these passes are due, each once however often it changes meanwhile."""
        due.mark(session, pass_ids, self.house.issuer_id, lane=lane, now=now)

    def backlog(
        self, session: Session, pass_type_id: int, most: int, *, standing: bool = True
    ) -> int:
        """The objects of the bulk lane that are due or on their way."""
        values = {
            "pass_type_id": pass_type_id,
            "lane": int(Lane.BULK),
            "most": most,
            "standing": standing,
        }
        return int(session.execute(_WAITING, values).scalar_one())

    def announce(
        self, session: Session, template_id: int, announcement: Announcement, *, now: datetime
    ) -> bool:
        """A message to the class, which counts for the allowance of each of its passes."""
        template = session.get_one(PassTemplate, template_id)
        issuer = ensure_issuer(session, self.house.issuer_id, now)
        known = ensure_class(session, template, issuer, now)
        root = root_of(announcement.body, self.house.language)
        body = both("header", announcement.header, root) | both("body", announcement.body, root)
        session.add(
            GoogleMessage(
                google_class_id=known.id,
                message_id=public_id(),
                body=present(body),
                wants_buzz=True,
                state=MessageState.DUE,
                lane=int(Lane.BULK),
                due_at=now,
                created_at=now,
            )
        )
        session.flush()
        signal(session, GOOGLE)
        return True

    def audience(self, session: Session, template_id: int, now: datetime) -> tuple[int, int]:
        """The saved passes of this issuer, and those whose allowance is not spent."""
        return budget.audience(session, template_id, self.house.issuer_id, now=now)

    def preflight(
        self,
        candidate: Candidate,
        *,
        session: Session | None,  # noqa: ARG002 - all there is to know is in the candidate
        now: datetime,  # noqa: ARG002
    ) -> list[Finding]:
        """What Google Wallet cannot show, shows elsewhere, or says in its own words."""
        return preflight.examine(candidate)
