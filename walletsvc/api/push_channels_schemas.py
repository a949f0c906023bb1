"""What the push channels answer."""

from __future__ import annotations

from pydantic import Field

from walletsvc.api.schemas import Moment, Output
from walletsvc.apple.models import ChannelState


class WaitingPushes(Output):
    """Pushes that Apple has not accepted yet."""

    interactive: int = Field(description="Because of single changes.")
    bulk: int = Field(description="Because of changes to many cards.")
    oldest_at: Moment | None = Field(description="Since when the oldest waits.")


class PushChannelOut(Output):
    """The pushes of one pass type."""

    pass_type: str
    state: ChannelState
    reason: str | None = Field(description="Why it is as it is, and what to do about it.")
    failures: int = Field(description="How often in a row it failed.")
    since: Moment | None
    retry_at: Moment | None = Field(description="When a stopped channel is tried again by itself.")
    waiting: WaitingPushes


class PushChannelList(Output):
    """All of them."""

    items: list[PushChannelOut]
