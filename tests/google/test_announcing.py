"""A message to all holders of a programme's cards: whom it reaches, over HTTP and by command."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.google.desk import Desk, desk_fixture  # noqa: F401 - a fixture
from tests.google.shop import HOUSE
from walletsvc import settings
from walletsvc.access.rules import Scope
from walletsvc.access.service import create_key
from walletsvc.api import blueprint
from walletsvc.core.errors import InputError
from walletsvc.google import budget
from walletsvc.passes.announcing import announce
from walletsvc.passes.protocol import Announcement
from walletsvc.web import problems
from walletsvc.web.context import Deps

MOVED = {
    "header": {"ru": "Мы переехали", "en": "We moved"},
    "body": {"ru": "Невский, 10", "en": "Nevsky 10"},
}


class Http:
    """The REST interface beside the desk, and a key that may announce."""

    def __init__(self, desk: Desk, folder: Path, issuer: str = HOUSE.issuer_id) -> None:
        loaded = settings.load(data_dir=folder, public_url=HOUSE.base_url, google_issuer_id=issuer)
        app = Flask("walletsvc.web")
        problems.install(app)
        app.register_blueprint(
            blueprint.create(Deps(loaded, desk.database, clock=lambda: desk.now))
        )
        self.client = app.test_client()
        with desk.database.write_tx() as session:
            self.secret = create_key(
                session,
                organisation_id=desk.shop.organisation.id,
                name="crm",
                scopes=[Scope.RULES_WRITE],
                now=desk.now,
            )[1]

    def announce(self, query: str = "", key: str | None = None, **changes: Any) -> TestResponse:
        """Announce the move."""
        return self.client.post(
            f"/api/v1/programmes/{changes.pop('slug', 'guest')}/announcements{query}",
            json=MOVED | changes,
            headers={
                "Authorization": f"Bearer {self.secret}",
                "Idempotency-Key": key or secrets.token_hex(8),
            },
        )


def waiting(desk: Desk) -> int:
    """How many announcements there are."""
    return len(desk.rows("SELECT FROM google_messages WHERE pass_id IS NULL"))


def test_it_says_whom_it_reaches_and_reaches_them_once(desk: Desk, tmp_path: Path) -> None:
    """A dry run queues nothing; the same key again is the same one; whoever has none left is told
    without a sound."""
    holders = desk.cards(3)
    http = Http(desk, tmp_path)
    sender = desk.sender()
    for _ in range(budget.ALLOWANCE):
        desk.change(holders[:1], 1)
        sender.drain()
    told = [
        {"wallet": "apple", "holders": 0, "announces": False, "sounding": 0},
        {"wallet": "google", "holders": 3, "announces": True, "sounding": 2},
    ]
    tried = http.announce("?dry_run=true")
    assert (tried.status_code, tried.get_json()["wallets"]) == (202, told)
    assert waiting(desk) == 0
    assert http.announce(key="k").get_json() == {"wallets": told, "dry_run": False}
    assert http.announce(key="k").status_code == 202
    assert waiting(desk) == 1
    sender.drain()
    sender.drain()
    kinds = [
        [each["kind"] for each in desk.buzzes(holder) if not each.get("suppressed")]
        for holder in holders
    ]
    assert kinds[1:] == [["CLASS_MESSAGE"]] * 2
    assert len(kinds[0]) == budget.ALLOWANCE
    later = http.announce("?dry_run=true").get_json()["wallets"][1]
    assert (later["holders"], later["sounding"]) == (3, 2)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"body": {}}, "body"),
        ({"body": {"ru": "x"}}, "header"),
        ({"header": {"ru": " ", "en": "x"}}, "header.ru"),
        ({"header": {"ru": "x" * 61, "en": "x"}}, "header.ru"),
        ({"body": {"ru": "x", "en": "\x00"}}, "body.en"),
    ],
)
def test_what_is_wrong_is_named(
    desk: Desk, tmp_path: Path, changes: dict[str, Any], field: str
) -> None:
    """And nothing is queued."""
    desk.cards(1)
    answer = Http(desk, tmp_path).announce(**changes)
    assert answer.status_code == 400
    assert [each["field"] for each in answer.get_json()["errors"]] == [field]
    assert waiting(desk) == 0


def test_where_nobody_can_be_told_it_is_refused(desk: Desk, tmp_path: Path) -> None:
    """No Google Wallet here, or no such programme of the caller's."""
    desk.cards(1)
    assert Http(desk, tmp_path, issuer="").announce().status_code == 422
    assert Http(desk, tmp_path).announce(slug="other").status_code == 404
    with desk.database.write_tx() as session, pytest.raises(InputError):
        announce(session, [], desk.shop.points, Announcement({}, {}), desk.now)
    assert waiting(desk) == 0
