"""A whole installation on a port of its own, for a browser: a shop that takes people in."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask
from sqlmodel import col, select
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.passes.shop import DIALECTS, Shop, open_shop, product_template
from walletsvc.app.installation import assemble
from walletsvc.app.web import create_app
from walletsvc.core.actor import OPERATOR
from walletsvc.core.clock import utcnow
from walletsvc.enrolment import settings as enrolment
from walletsvc.enrolment import sources
from walletsvc.enrolment.models import JoinSource
from walletsvc.messaging.kinds import Channel, MessageKind
from walletsvc.messaging.models import Gateway, Message
from walletsvc.passes.templates import publish
from walletsvc.programmes import versions
from walletsvc.programmes.rulebook.schemas import RuleBook
from walletsvc.settings import load
from walletsvc.storage.engine import Database

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

BOOK = {
    "earn": {"percent": "5"},
    "spend": {"max_share_percent": "50"},
    "lifetime": {"months": 12},
}


@dataclass
class Street:
    """The running shop; `codes` are those its messages held, newest last. To `app` pages can be
    added before the first is asked for."""

    base_url: str
    database: Database
    shop: Shop
    source: JoinSource
    app: Flask

    def codes(self) -> list[str]:
        """The codes that were sent by SMS."""
        return codes_sent(self.database)


def codes_sent(database: Database) -> list[str]:
    """The codes that messages held, the newest last."""
    with database.read_tx() as session:
        sent = session.exec(
            select(Message.body)
            .where(col(Message.kind).in_([each for each in MessageKind if each.secret]))
            .order_by(col(Message.id))
        ).all()
    return [re.findall(r"\b\d{6}\b", body)[0] for body in sent if body]


def open_to_all(
    database: Database, now: datetime, *, pictures: bool = True, **rules: Any
) -> tuple[Shop, JoinSource]:
    """A shop with the product's own look, rules, an SMS gateway, and a form with every field.

    Without `pictures` the look has plain ones, which are quick to make.
    """
    with database.write_tx() as session:
        shop = open_shop(session, now, published=not pictures)
        if pictures:
            publish(
                session,
                programme_id=shop.points.id,
                pass_type_id=shop.points_type.id,
                template=product_template("loyalty"),
                dialects=DIALECTS,
                now=now,
            )
        book = RuleBook.model_validate(BOOK)
        versions.save_draft(session, shop.points, book, OPERATOR, "", now)
        versions.publish(session, shop.points, OPERATOR, now)
        session.add(
            Gateway(channel=Channel.SMS, kind="smsaero", label="SMS", config=json.dumps({}),
                    created_at=now)
        )  # fmt: skip
        fields = dict.fromkeys(enrolment.FIELDS, enrolment.Presence.OPTIONAL)
        wanted = replace(enrolment.DEFAULTS, open=True, fields=fields, **rules)
        enrolment.change(session, shop.points, wanted, actor=OPERATOR, now=now)
        source = sources.create(session, shop.points, campaign="осень", now=now)
    return shop, source


class _Quiet(WSGIRequestHandler):
    """Nobody reads the log of a test's server."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def running(database: Database, folder: Path, **settings: Any) -> Iterator[Street]:
    """The shop behind a real HTTP server on loopback, with these settings."""
    now = utcnow()
    shop, source = open_to_all(database, now)
    later: list[WSGIApplication] = []

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        return later[0](environ, start_response)

    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Quiet)
    base_url = f"http://127.0.0.1:{server.server_port}"
    installation = assemble(load(public_url=base_url, data_dir=folder, **settings), database)
    app = create_app(installation)
    later.append(app)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Street(base_url, database, shop, source, app)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        installation.events.close()
