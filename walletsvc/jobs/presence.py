"""Who is at work: read from the connections that workers hold, on whatever host they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.jobs.signals import listening

JOBS: Final = "jobs"  # the part that runs the job queue; it beats every ten seconds

_JOB_WORKERS: Final = text(
    "SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - interval '30 s'"
)


def present(session: Session, channels: Mapping[str, str]) -> dict[str, int]:
    """How many processes there are of each part; `channels`: what the others listen on, by part.

    A job worker that was killed is counted for half a minute longer.
    """
    listeners = listening(session)
    found = {part: listeners.get(channel, 0) for part, channel in channels.items()}
    return {**found, JOBS: int(session.execute(_JOB_WORKERS).scalar_one())}
