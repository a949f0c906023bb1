"""Apple's side of publishing: who holds a pass, and a push row for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.apple import preflight
from walletsvc.jobs.changes import Lane
from walletsvc.passes.findings import Finding
from walletsvc.passes.models import PassTemplate, Wallet
from walletsvc.passes.protocol import Announcement, Candidate
from walletsvc.storage.engine import signal

PUSHES: Final = "walletsvc_pushes"  # the signal, and the channel senders listen on

_PASS_TYPES = text("SELECT DISTINCT pass_type_id FROM pass_templates WHERE id = ANY(:ids)")
_HELD = text("SELECT DISTINCT pass_id FROM registrations WHERE pass_id = ANY(:ids)")
_AUDIENCE = text(
    "SELECT count(DISTINCT r.pass_id) FROM registrations r JOIN passes p ON p.id = r.pass_id"
    " WHERE p.template_id = :template_id"
)
# The devices are locked first: one that leaves at this moment must not fail the batch by its
# foreign key. In ascending order, as everywhere.
_QUEUE = text(
    "WITH told AS ("
    "  SELECT DISTINCT device_id, pass_type_id FROM registrations WHERE pass_id = ANY(:ids)"
    "), present AS ("
    "  SELECT id FROM devices WHERE id IN (SELECT device_id FROM told)"
    "  ORDER BY id FOR KEY SHARE"
    ")"
    " INSERT INTO pushes (device_id, pass_type_id, lane, due_at, attempts, created_at)"
    " SELECT told.device_id, told.pass_type_id, CAST(:lane AS smallint),"
    "   CAST(:now AS timestamptz), 0, CAST(:now AS timestamptz)"
    " FROM told JOIN present ON present.id = told.device_id"
)
_WAITING = text(
    "SELECT count(*) FROM (SELECT FROM pushes WHERE pass_type_id = :pass_type_id"
    " AND lane = :lane LIMIT :most) waiting"
    " WHERE CAST(:standing AS boolean) OR NOT EXISTS (SELECT FROM push_channels"
    "   WHERE pass_type_id = :pass_type_id AND state <> 'open')"
)


class AppleDialect:
    """Publishing for Apple Wallet: phones are told by a push and fetch the pass themselves."""

    wallet = Wallet.APPLE

    def __init__(self, base_url: str, language: str = "ru") -> None:
        """`base_url` and the default `language` stand in every pass."""
        self._base_url = base_url
        self._language = language
        self.look = f"{base_url} {language}".encode()

    def pass_type_id(
        self,
        session: Session,  # noqa: ARG002 - the protocol's
        template: PassTemplate,
        now: datetime,  # noqa: ARG002 - the protocol's
    ) -> int:
        """The template's own: it was chosen when the template was published."""
        return template.pass_type_id

    def pass_types(self, session: Session, template_ids: Sequence[int]) -> set[int]:
        """Those of the templates themselves."""
        return set(session.execute(_PASS_TYPES, {"ids": list(template_ids)}).scalars())

    def held(self, session: Session, pass_ids: Sequence[int]) -> set[int]:
        """The passes that at least one device has registered."""
        if not pass_ids:
            return set()
        return set(session.execute(_HELD, {"ids": list(pass_ids)}).scalars())

    def notify(
        self, session: Session, pass_ids: Sequence[int], *, lane: Lane, now: datetime
    ) -> None:
        """One push row per device and pass type, however many of its passes changed."""
        if not pass_ids:
            return
        session.execute(_QUEUE, {"ids": list(pass_ids), "lane": int(lane), "now": now})
        signal(session, PUSHES)

    def backlog(
        self, session: Session, pass_type_id: int, most: int, *, standing: bool = True
    ) -> int:
        """The pushes of the bulk lane that are queued, retried ones included."""
        values = {
            "pass_type_id": pass_type_id,
            "lane": int(Lane.BULK),
            "most": most,
            "standing": standing,
        }
        return int(session.execute(_WAITING, values).scalar_one())

    def announce(
        self,
        session: Session,  # noqa: ARG002 - the protocol's
        template_id: int,  # noqa: ARG002
        announcement: Announcement,  # noqa: ARG002
        *,
        now: datetime,  # noqa: ARG002
    ) -> bool:
        """Apple Wallet announces changed fields and nothing else."""
        return False

    def audience(
        self,
        session: Session,
        template_id: int,
        now: datetime,  # noqa: ARG002 - the protocol's
    ) -> tuple[int, int]:
        """The passes that some device has registered; none of them is told by a message."""
        return int(session.execute(_AUDIENCE, {"template_id": template_id}).scalar_one()), 0

    def preflight(
        self, candidate: Candidate, *, session: Session | None, now: datetime
    ) -> list[Finding]:
        """What Wallet would refuse, hide or show badly."""
        return preflight.examine(
            candidate, base_url=self._base_url, language=self._language, session=session, now=now
        )
