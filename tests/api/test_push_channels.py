"""Push channels over REST: what an operator sees and may do."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Api
from walletsvc.apple import channels

NAME = "pass.test.shop"


def post(api: Api, path: str) -> Any:
    """A POST without a body, as clients send it."""
    return api.call("POST", path, environ_overrides={"CONTENT_LENGTH": "0"})


def test_a_stopped_channel_says_why_and_can_be_resumed(api: Api) -> None:
    """The reason and the next try are there; afterwards nothing of it is left."""
    with api.database.write_tx() as session:
        for standing in channels.standings(session, api.now):
            if standing.identifier == NAME:
                channels.stop(
                    session,
                    standing.pass_type_id,
                    reason="Apple answers 403.",
                    failures=2,
                    retry_at=api.now,
                    now=api.now,
                )
    items = api.call("GET", "/push-channels").get_json()["items"]
    [item] = [item for item in items if item["pass_type"] == NAME]
    assert (item["state"], item["reason"], item["failures"]) == ("stopped", "Apple answers 403.", 2)
    assert item["retry_at"] is not None
    answer = post(api, f"/push-channels/{NAME}/resume")
    assert (answer.status_code, answer.get_json()["state"]) == (200, "open")
    assert answer.get_json()["reason"] is None


def test_a_channel_can_be_paused_and_losses_accepted(api: Api) -> None:
    """Both say who did it; an unknown pass type is 404."""
    paused = post(api, f"/push-channels/{NAME}/pause").get_json()
    assert paused["state"] == "paused"
    assert "api-key:" in paused["reason"]
    believed = post(api, f"/push-channels/{NAME}/resume?accept_losses=true").get_json()
    assert believed["state"] == "open"
    assert "believed" in believed["reason"]
    for verb in ("pause", "resume"):
        assert post(api, f"/push-channels/pass.none/{verb}").status_code == 404
