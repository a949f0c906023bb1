"""The phones that hold a pass or did, named so that an operator can tell them apart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.core.ids import spelled
from walletsvc.storage.columns import keyring

_HOLDERS: Final = text("""
SELECT device_id, min(since) AS since, max(since) FILTER (WHERE holds) AS registered_at,
       max(tag) AS tag, max(quiet_until) AS quiet_until
  FROM (
    SELECT r.device_id, r.created_at AS since, true AS holds, r.tag, d.quiet_until
      FROM registrations r JOIN devices d ON d.id = r.device_id WHERE r.pass_id = :pass_id
    UNION ALL
    SELECT device_id, at, false, 0, NULL FROM pass_events
     WHERE pass_id = :pass_id AND kind IN ('registered', 'unregistered')
  ) h
 GROUP BY device_id ORDER BY device_id
""")
_MOST: Final = 100


@dataclass(frozen=True)
class Holder:
    """A phone that holds the pass, or did (`registered_at` is None).

    `since` is the first that is known of it, `tag` the one that marks its copy as an old one.
    """

    device_id: int
    label: str
    since: datetime
    registered_at: datetime | None
    tag: int
    quiet_until: datetime | None


def label(device_id: int) -> str:
    """Four characters that name a device in every timeline and say nothing about it."""
    return spelled(keyring().lookup_hash(f"device {device_id}"), 4)


def holders(session: Session, pass_id: int) -> list[Holder]:
    """The phones of a pass; of very many the ones that came last."""
    rows = session.execute(_HOLDERS, {"pass_id": pass_id}).all()
    return [
        Holder(
            device_id=row.device_id,
            label=label(row.device_id),
            since=row.since,
            registered_at=row.registered_at,
            tag=row.tag,
            quiet_until=row.quiet_until,
        )
        for row in rows[-_MOST:]
    ]
