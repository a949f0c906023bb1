"""One rate of requests per issuer, shared by all workers on all hosts.

Virtual scheduling (GCRA) on `google_issuers.free_at`, by the database's clock: whoever takes n
requests moves `free_at` on by n intervals and sends when its turn has come. Over any stretch of
time no more leave than the rate allows, and one batch.

The interactive lane gets a turn however late it begins, unless it has no patience for that: a
turn that nobody waits for would keep everybody behind it waiting. The bulk lane gets one only when
it would begin almost at once and nothing interactive is due, and takes no more than half a
second's worth: so somebody who waits at the till finds at most that much before them.
"""

from __future__ import annotations

import threading
import time
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import text

from walletsvc.core.clock import Clock
from walletsvc.google import waiting
from walletsvc.google.client import MOST_PARTS
from walletsvc.jobs.changes import Lane
from walletsvc.storage.engine import Database

BATCH_SECONDS: Final = 0.5  # a batch is at most what the rate allows in this time
_SOON: Final = 0.1  # a bulk turn may begin this late, so that none of the rate is lost between two
_SHORTEST_ASK: Final = 0.005
_FOR_EVER: Final = 1e6

# When this turn begins, in seconds from now; the bulk lane may get none.
_TAKE: Final = text(
    "UPDATE google_issuers i"  # noqa: S608 - words of ours
    "  SET free_at = GREATEST(free_at, clock_timestamp()) + make_interval(secs => :takes)"
    " WHERE pass_type_id = :pass_type_id"
    "   AND free_at <= clock_timestamp() + make_interval(secs => :patience)"
    "   AND (CAST(:lane AS int) = 0 OR free_at <= clock_timestamp() + make_interval(secs => :soon)"
    f"     AND NOT {waiting.due(0, 'i.pass_type_id')})"
    " RETURNING EXTRACT(EPOCH FROM free_at - clock_timestamp())"
    "   - CAST(:takes AS double precision) AS seconds"
)
_FREE: Final = text(
    "SELECT EXTRACT(EPOCH FROM free_at - clock_timestamp()) AS seconds FROM google_issuers"
    " WHERE pass_type_id = :pass_type_id"
)


class Turn(NamedTuple):
    """Whether the requests may be sent, after so many seconds; if not, ask again then."""

    granted: bool
    seconds: float


class Limiter:
    """The limiter as one process sees it."""

    def __init__(self, database: Database, requests_per_second: float) -> None:
        self._database = database
        self._rate = requests_per_second

    @property
    def most(self) -> int:
        """How many requests a batch may hold."""
        return min(max(int(self._rate * BATCH_SECONDS), 1), MOST_PARTS)

    def take(
        self,
        pass_type_id: int,
        count: int,
        lane: Lane,
        *,
        now: datetime,
        patience: float = _FOR_EVER,
    ) -> Turn:
        """Take a turn for `count` requests of an issuer (its pass type's id), unless it begins
        later than in `patience` seconds.

        `now` is the caller's time, by which others' requests are due; the turn itself goes by the
        database's clock. An issuer without a row has no limit: there is none to send for.
        """
        values = {
            "pass_type_id": pass_type_id,
            "takes": count / self._rate,
            "lane": int(lane),
            "soon": _SOON,
            "patience": patience,
            "now": now,
        }
        # A transaction of one statement: the row is everybody's.
        with self._database.write_tx() as session:
            taken = session.execute(_TAKE, values).scalar()
            if taken is not None:
                return Turn(True, max(float(taken), 0.0))
            free = session.execute(_FREE, {"pass_type_id": pass_type_id}).scalar()
        if free is None:
            return Turn(True, 0.0)
        # When it is free already, others' urgent requests leave in a moment.
        return Turn(False, max(float(free) - _SOON / 2, _SHORTEST_ASK))

    def wait(
        self,
        pass_type_id: int,
        count: int,
        lane: Lane,
        *,
        clock: Clock,
        stop: threading.Event,
        patience: float,
    ) -> bool:
        """Take a turn and sleep until it has come; False when that takes longer than `patience`
        seconds or `stop` is set: then nothing may be sent."""
        deadline = time.monotonic() + patience
        while not stop.is_set():
            left = deadline - time.monotonic()
            turn = self.take(pass_type_id, count, lane, now=clock(), patience=max(left, 0.0))
            if not turn.granted and turn.seconds > left:
                return False
            if turn.seconds and stop.wait(turn.seconds):
                return False
            if turn.granted:
                return True
        return False


def take(
    database: Database,
    pass_type_id: int,
    count: int,
    lane: Lane,
    *,
    requests_per_second: float,
    now: datetime,
) -> float:
    """Seconds to wait before `count` requests may be sent; the turn is taken. For the interactive
    lane, which always gets one; the bulk lane asks a `Limiter`."""
    return Limiter(database, requests_per_second).take(pass_type_id, count, lane, now=now).seconds
