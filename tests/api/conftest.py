"""A web client of the REST interface: two shops, a key for everything, a fixed clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from tests.factories import Shop, make_shop
from walletsvc import settings as settings_module
from walletsvc.access.rules import SCOPES
from walletsvc.access.service import create_key
from walletsvc.api import blueprint
from walletsvc.api.front import finder
from walletsvc.certificates.models import Certificate
from walletsvc.certificates.service import issue
from walletsvc.core.actor import Actor
from walletsvc.merchants.models import Branch
from walletsvc.merchants.service import create_branch
from walletsvc.programmes.service import create_gift_programme
from walletsvc.settings import Settings
from walletsvc.storage.engine import Database
from walletsvc.web import problems
from walletsvc.web.context import Deps
from walletsvc.web.front import Front
from walletsvc.web.turns import Turns

BASE = "https://cards.example.test"
STAFF = Actor("staff", "anna")
ANNA = {
    "programme": "shop",
    "phone": "8 (900) 123-45-67",
    "first_name": "Анна",
    "last_name": "Кузнецова",
}


def make_app(database: Database, clock: Callable[[], datetime], folder: Path) -> Flask:
    """The REST interface alone, as the composition root would put it together."""
    return _app(_deps(database, clock, folder))


def _deps(database: Database, clock: Callable[[], datetime], folder: Path) -> Deps:
    settings = _settings().model_copy(update={"data_dir": folder})
    return Deps(settings, database, clock)


@cache
def _settings() -> Settings:
    return settings_module.load(public_url=BASE)


def _app(deps: Deps) -> Flask:
    app = Flask("walletsvc.web")
    problems.install(app)
    app.register_blueprint(blueprint.create(deps))
    app.wsgi_app = Front(app.wsgi_app, (finder(deps, Turns(1)),), uncounted)  # type: ignore[method-assign]
    return app


def uncounted(*_: object) -> None:
    """Nobody asks how many there were."""


@pytest.fixture(scope="session")
def kept_app() -> tuple[Flask, Deps]:
    """The routes of a hundred calls take longer to make than a test: one app serves all tests of
    a process in turn, each puts its own database and clock into what the app was built from."""
    deps = Deps(_settings(), cast("Database", None))
    return _app(deps), deps


@dataclass
class Api:
    """The interface, and a caller who may do everything in the first shop."""

    app: Flask
    client: FlaskClient
    database: Database
    shop: Shop
    other: Shop
    branch: Branch
    secret: str
    now: datetime
    clock: datetime  # the present of all further calls; tests set it
    keys: int = field(default=0)

    def call(
        self, method: str, path: str, *, secret: str | None = None, **options: Any
    ) -> TestResponse:
        """A call with a good key; `path` is below /api/v1."""
        headers = {"Authorization": f"Bearer {secret or self.secret}"}
        headers.update(options.pop("headers", {}))
        return self.client.open(f"/api/v1{path}", method=method, headers=headers, **options)

    def member(self, **changes: Any) -> dict[str, Any]:
        """Register a member; Anna unless said otherwise."""
        answer = self.call("POST", "/members", json=ANNA | changes)
        assert answer.status_code == 201, answer.text
        return dict(answer.get_json())

    def adjust(
        self, card: str, amount: int, reason: str = "test", key: str | None = None, query: str = ""
    ) -> TestResponse:
        """Credit or debit a card, with a key of its own unless one is given."""
        self.keys += 1
        return self.call(
            "POST",
            f"/cards/{card}/adjustments{query}",
            json={"amount": amount, "reason": reason},
            headers={"Idempotency-Key": key or f"key-{self.keys}"},
        )

    def key(self, *scopes: str, branch_id: int | None = None, shop: Shop | None = None) -> str:
        """The secret of a further key; with all scopes unless some are named."""
        with self.database.write_tx() as session:
            return create_key(
                session,
                organisation_id=(shop or self.shop).organisation.id,
                name="test",
                scopes=scopes or SCOPES,
                branch_id=branch_id,
                now=self.now,
            )[1]

    def rows(self) -> dict[str, int]:
        """How many rows every table of the database has."""
        with self.database.read_tx() as session:
            tables = session.execute(
                text("SELECT table_name FROM information_schema.tables WHERE table_schema='public'"
                     " AND table_type = 'BASE TABLE'")
            ).scalars()  # fmt: skip
            counts = " UNION ALL ".join(
                f"SELECT '{name}', count(*) FROM \"{name}\"" for name in sorted(tables)
            )
            return {row[0]: int(row[1]) for row in session.execute(text(counts))}


@pytest.fixture
def api(
    database: Database, now: datetime, tmp_path: Path, kept_app: tuple[Flask, Deps]
) -> Iterator[Api]:
    """Two shops without members; the key belongs to the first."""
    with database.write_tx() as session:
        shop = make_shop(session, now)
        other = make_shop(session, now, "other")
        branch = create_branch(
            session, organisation_id=shop.organisation.id, name="Невский", now=now
        )
        _, secret = create_key(
            session, organisation_id=shop.organisation.id, name="till", scopes=SCOPES, now=now
        )
    app, deps = kept_app
    with app.test_client() as client:
        found = Api(app, client, database, shop, other, branch, secret, now, now)
        vars(deps).update(vars(_deps(database, lambda: found.clock, tmp_path)))
        yield found


@pytest.fixture
def card(api: Api) -> str:
    """The id of a card with a hundred points."""
    found = str(api.member(first_name="Борис")["card"]["id"])
    api.adjust(found, 100)
    return found


@pytest.fixture
def later(api: Api) -> Callable[[float], None]:
    """Sets the clock of all further calls to so many seconds from now."""

    def set_clock(seconds: float) -> None:
        api.clock = api.now + timedelta(seconds=seconds)

    return set_clock


def make_certificate(api: Api, **changes: Any) -> str:
    """A certificate of the first shop; changes are made to its row."""
    with api.database.write_tx() as session:
        slug = f"gift-{api.keys}"
        api.keys += 1
        organisation = api.shop.organisation.id
        programme = create_gift_programme(
            session, organisation_id=organisation, slug=slug, name="Подарок", now=api.now
        )
        made, _ = issue(
            session,
            programme=programme,
            face_value=10_000,
            actor=STAFF,
            reason="sold",
            now=api.now,
        )
        found = session.get_one(Certificate, made.id)
        for name, value in changes.items():
            setattr(found, name, value)
        return found.public_id


@pytest.fixture
def certificate(api: Api) -> str:
    """The public id of a certificate of the first shop worth a hundred roubles."""
    return make_certificate(api)
