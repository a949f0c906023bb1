"""Returns that wait for a purchase which may never come: nobody else would ever name them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.app import Installation
from walletsvc.cli.doctor.findings import Finding

# A till that was offline for a day's work has told of it by then.
LATE: Final = timedelta(days=1)

_FORGOTTEN: Final = text("""
SELECT count(*) OVER () AS how_many, r.recorded_at, r.source, r.external_id, r.purchase_source,
       r.purchase_external_id, o.slug
  FROM refunds r JOIN organisations o ON o.id = r.organisation_id
 WHERE r.state = 'waiting' AND r.recorded_at < :before
 ORDER BY r.recorded_at, r.id LIMIT 1
""")


def examine(installation: Installation) -> Iterator[Finding]:
    """What there is to say of returns without a purchase."""
    with installation.database.read_tx() as session:
        yield waiting(session, installation.clock())


def waiting(session: Session, now: datetime) -> Finding:
    """How many have waited for long, and the oldest by its names.

    No problem of the installation: nothing of it can be mended here, and nothing else suffers.
    """
    oldest = session.execute(_FORGOTTEN, {"before": now - LATE}).first()
    if oldest is None:
        return Finding("returns", "none waits for its purchase for longer than a day")
    count = "1 return waits" if oldest.how_many == 1 else f"{oldest.how_many} returns wait"
    return Finding(
        "returns",
        f"warning: {count} for a purchase for longer than a day, the oldest since "
        f"{oldest.recorded_at:%Y-%m-%d %H:%M} UTC: {oldest.external_id} from {oldest.source} "
        f"({oldest.slug}), of the purchase {oldest.purchase_external_id} from "
        f"{oldest.purchase_source}. Have that purchase reported: both names must be as the "
        "return gives them.",
    )
