"""Push channels: whether phones are told of changes, and the operator's say in it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text

from walletsvc.access.rules import Scope
from walletsvc.api.operations import Call, Operation
from walletsvc.api.push_channels_schemas import PushChannelList, PushChannelOut, WaitingPushes
from walletsvc.apple import channels
from walletsvc.apple.channels import ChannelStatus
from walletsvc.apple.models import ChannelState
from walletsvc.core.errors import NotFound, Refused
from walletsvc.jobs.changes import Lane

# The pass types an organisation's templates use, and whether nobody else's do.
_USED: Final = text(
    "SELECT t.identifier, bool_and(p.organisation_id = :organisation_id) AS alone"
    " FROM pass_types t JOIN pass_templates l ON l.pass_type_id = t.id"
    " JOIN programmes p ON p.id = l.programme_id"
    " GROUP BY t.identifier HAVING bool_or(p.organisation_id = :organisation_id)"
)


def list_channels(call: Call) -> PushChannelList:
    """The channels of the pass types that the organisation uses."""
    used = _used(call)
    found = channels.channels(call.session)
    return PushChannelList(items=[_present(each) for each in found if each.pass_type in used])


def pause(call: Call) -> PushChannelOut:
    """Send nothing until resumed."""
    identifier = _own(call)
    channels.pause(call.session, identifier, actor=call.actor, now=call.now)
    return _one(call, identifier)


def resume(call: Call) -> PushChannelOut:
    """Send again. The guard against lost devices stays on: only the installation's operator
    may say that they are gone indeed."""
    identifier = _own(call)
    channels.resume(call.session, identifier, actor=call.actor, now=call.now)
    return _one(call, identifier)


def _used(call: Call) -> dict[str, bool]:
    rows = call.session.execute(_USED, {"organisation_id": call.key.organisation_id})
    return {row.identifier: row.alone for row in rows}


def _own(call: Call) -> str:
    """The named pass type, if the organisation is the only one that uses it."""
    identifier = call.path["pass_type"]
    alone = _used(call).get(identifier)
    if alone is None:
        raise NotFound(f"There is no pass type '{identifier}'.")
    if not alone:
        raise Refused(
            "Others use this pass type as well: only the installation's operator may do that."
        )
    return identifier


def _one(call: Call, identifier: str) -> PushChannelOut:
    for status in channels.channels(call.session):
        if status.pass_type == identifier:
            return _present(status)
    raise NotFound(f"There is no pass type '{identifier}'.")


def _present(status: ChannelStatus) -> PushChannelOut:
    waiting = status.waiting
    return PushChannelOut(
        pass_type=status.pass_type,
        state=status.state,
        reason=status.reason or None,
        failures=status.failures,
        since=status.since,
        retry_at=None if status.state is ChannelState.OPEN else status.retry_at,
        waiting=WaitingPushes(
            interactive=waiting[Lane.INTERACTIVE].pushes,
            bulk=waiting[Lane.BULK].pushes,
            oldest_at=min((w.oldest for w in waiting.values() if w.oldest), default=None),
        ),
    )


_PATH: Final = {"pass_type": "The pass type identifier, as Apple knows it."}
_EXAMPLE: Final = {
    "pass_type": "pass.com.example.coffee",
    "state": "stopped",
    "reason": "Apple answers 403 BadCertificate: Apple does not accept the certificate: check it"
    " with `walletsvc certs check`.",
    "failures": 2,
    "since": "2026-11-20T09:30:00Z",
    "retry_at": "2026-11-20T09:31:12Z",
    "waiting": {"interactive": 3, "bulk": 1200, "oldest_at": "2026-11-20T09:29:58Z"},
}
_SENT: Final = _EXAMPLE | {
    "state": "open",
    "reason": None,
    "failures": 0,
    "since": None,
    "retry_at": None,
}
_PAUSED: Final = _SENT | {
    "state": "paused",
    "reason": "Paused by api-key:5k7m9p1r3t6v8x0z2b4d.",
    "since": "2026-11-20T09:30:00Z",
}

OPERATIONS: Final = (
    Operation(
        id="listPushChannels",
        method="GET",
        path="/push-channels",
        tag="Operations",
        scope=Scope.OPERATIONS_READ,
        summary="See whether pushes are sent",
        description="One channel per pass type that your templates use. A `stopped` one says why "
        "in words and when it is tried again by itself (`retry_at`; null: only when resumed); a "
        "`paused` one waits for somebody to resume it. Nothing is lost meanwhile: the pushes wait.",
        handler=list_channels,
        answer=PushChannelList,
        answer_example={"items": [_EXAMPLE]},
    ),
    Operation(
        id="pausePushChannel",
        method="POST",
        path="/push-channels/{pass_type}/pause",
        tag="Operations",
        scope=Scope.OPERATIONS_WRITE,
        summary="Pause a pass type's pushes",
        description="Nothing is sent for it until it is resumed. Refused when other organisations "
        "use the pass type as well.",
        handler=pause,
        answer=PushChannelOut,
        answer_example=_PAUSED,
        problems=(Refused,),
        path_parameters=_PATH,
    ),
    Operation(
        id="resumePushChannel",
        method="POST",
        path="/push-channels/{pass_type}/resume",
        tag="Operations",
        scope=Scope.OPERATIONS_WRITE,
        summary="Resume a pass type's pushes",
        description="Sends again at once, whether it was paused or stopped. A channel stops when "
        "Apple calls implausibly many devices gone, and deletes none of them; that guard stays on: "
        "only the installation's operator can turn it off, with `walletsvc pushes resume`. Refused "
        "when other organisations use the pass type as well.",
        handler=resume,
        answer=PushChannelOut,
        answer_example=_SENT,
        problems=(Refused,),
        path_parameters=_PATH,
    ),
)
