"""What of an issuer waits to be sent, as parts of statements: who claims, who makes room for what
is urgent, and who wakes the senders mean the same by it.

Another issuer's rows, left from before the setting was changed, are never claimed; so they may hold
nobody back either.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

# A message waits for the PATCH that is still to be sent, whose message may take its place; but
# no longer than this.
PATIENCE: Final = timedelta(seconds=10)

# Of a message `m` and its object `o`. None is sent beside a PATCH that clears messages: it might be
# lost without a trace, and be sent twice.
CLAIMABLE: Final = (
    "m.state = 'due' AND m.due_at <= :now"
    " AND NOT COALESCE(o.attempt ? 'clears', false)"
    " AND (o.due_at IS NULL OR m.attempts > 0"
    f"   OR m.created_at <= CAST(:now AS timestamptz) - interval '{PATIENCE.seconds} s')"
)


def due(lane: int, issuer: str) -> str:
    """Whether an object or a message of a lane can be claimed at `:now`; `issuer` is an expression
    for its pass type's id."""
    # The class is looked up per row, so that the rows are found by what is due, few or none, and
    # never by the class, which may have a million.
    class_ = "SELECT c.pass_type_id FROM google_classes c WHERE c.id = o.google_class_id"
    ours = f"({class_}) = {issuer}"
    return (
        f"(EXISTS (SELECT FROM google_objects o WHERE o.lane = {lane} AND o.due_at <= :now"  # noqa: S608 - words of ours
        f"   AND {ours})"
        " OR EXISTS (SELECT FROM google_messages m JOIN google_objects o ON o.pass_id = m.pass_id"
        f"   WHERE m.lane = {lane} AND {CLAIMABLE} AND {ours}))"
    )
