"""Push channels over REST: what an operator sees and may do."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from tests.api.conftest import Api
from walletsvc.apple import channels

NAME = "pass.test.shop"


def post(api: Api, path: str) -> Any:
    """A POST without a body, as clients send it."""
    return api.call("POST", path, environ_overrides={"CONTENT_LENGTH": "0"})


def listed(api: Api) -> list[dict[str, Any]]:
    """The channels that the first shop's key sees."""
    return list(api.call("GET", "/push-channels").get_json()["items"])


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
    [item] = listed(api)
    assert (item["state"], item["reason"], item["failures"]) == ("stopped", "Apple answers 403.", 2)
    assert item["retry_at"] is not None
    answer = post(api, f"/push-channels/{NAME}/resume")
    assert (answer.status_code, answer.get_json()["state"]) == (200, "open")
    assert answer.get_json()["reason"] is None


def test_a_channel_can_be_paused(api: Api) -> None:
    """It says who did it; an unknown pass type is 404."""
    paused = post(api, f"/push-channels/{NAME}/pause").get_json()
    assert paused["state"] == "paused"
    assert "api-key:" in paused["reason"]
    for verb in ("pause", "resume"):
        assert post(api, f"/push-channels/pass.none/{verb}").status_code == 404


def test_the_guard_of_devices_stays_on(api: Api) -> None:
    """Nobody may turn it off from outside: it protects everybody's registrations."""
    answer = post(api, f"/push-channels/{NAME}/resume?accept_losses=true")
    assert answer.status_code == 400
    with api.database.read_tx() as session:
        assert session.execute(text("SELECT count(*) FROM push_channels")).scalar_one() == 0


def test_a_key_sees_and_changes_only_its_organisations_channels(api: Api) -> None:
    """Another's is not there; one that is shared is seen, and only the operator changes it."""
    assert [item["pass_type"] for item in listed(api)] == [NAME]
    for verb in ("pause", "resume"):
        assert post(api, f"/push-channels/pass.test.other/{verb}").status_code == 404
    with api.database.write_tx() as session:
        session.execute(
            text("UPDATE pass_templates SET pass_type_id = :shared WHERE id = :other"),
            {"shared": api.shop.pass_type.id, "other": api.other.template.id},
        )
    assert [item["pass_type"] for item in listed(api)] == [NAME]
    for verb in ("pause", "resume"):
        answer = post(api, f"/push-channels/{NAME}/{verb}")
        assert (answer.status_code, answer.get_json()["code"]) == (422, "refused")
    with api.database.read_tx() as session:
        assert session.execute(text("SELECT count(*) FROM push_channels")).scalar_one() == 0
