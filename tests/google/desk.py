"""A shop whose cards sit in Google Wallet: the real database, the emulator, a sender to run."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from google.oauth2 import service_account
from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlmodel import Session

from tests.google.shop import GOOGLE, HOUSE, PUBLISHER
from tests.passes.shop import TILL, certificate, member, open_shop
from walletsvc.cards.models import Card
from walletsvc.certificates.models import Certificate
from walletsvc.core.clock import utcnow
from walletsvc.emulators.google import GoogleEmulator
from walletsvc.emulators.google.accounts import make_key
from walletsvc.google.client import SCOPE, GoogleClient
from walletsvc.google.issuer import ensure_object
from walletsvc.google.limiter import Limiter
from walletsvc.google.sending.sender import GoogleSender
from walletsvc.jobs.changes import Lane
from walletsvc.ledger import service as ledger
from walletsvc.passes.service import ensure_pass, find_by_link
from walletsvc.storage.engine import Database

LEASE = timedelta(seconds=60)


@cache
def private_key() -> str:
    """An RSA key in PEM: making one takes a moment."""
    return str(make_key("")[0]["private_key"])


@cache
def account_key() -> str:
    """The key of a service account that nobody knows."""
    return json.dumps(make_key("http://127.0.0.1:9", private_key=private_key())[0])


@dataclass(frozen=True)
class Holder:
    """A pass that somebody has in Google Wallet, and the account that it shows."""

    pass_id: int
    object_id: str
    account_id: int


class Desk:
    """Makes cards, changes balances, runs senders; its clock and the emulator's go together."""

    def __init__(self, database: Database, google: GoogleEmulator) -> None:
        self.database = database
        self.google = google
        self.now = utcnow()
        google.set_clock(self.now)
        self.key = google.account(HOUSE.issuer_id, private_key=private_key())
        self._senders: list[GoogleSender] = []
        self._made = 0
        with database.write_tx() as session:
            self.shop = open_shop(session, self.now)

    def client(self, **options: float) -> GoogleClient:
        """A client with the shop's service account."""
        made = service_account.Credentials.from_service_account_info(self.key, scopes=[SCOPE])
        return GoogleClient(made, self.google.base_url, **options)  # type: ignore[arg-type]

    def sender(self, rate: float = 100_000.0, **options: Any) -> GoogleSender:
        """A sender that reads the desk's clock."""
        client = options.pop("client", None) or self.client(read_seconds=1.0)
        sender = GoogleSender(
            self.database,
            client,
            Limiter(self.database, rate),
            HOUSE,
            clock=lambda: self.now,
            lease=LEASE,
            rng=random.Random(1),
            **options,
        )
        self._senders.append(sender)
        return sender

    def cards(self, count: int, points: int = 100) -> list[Holder]:
        """Members whose cards are saved."""
        made: list[Card | Certificate] = []
        with self.database.write_tx() as session:
            for _ in range(count):
                self._made += 1
                phone = f"+79{self._made:09d}"
                made.append(member(session, self.shop, self.now, points=points, phone=phone))
            holders = self._passes(session, made)
        return self._saved(holders)

    def gifts(self, count: int) -> list[Holder]:
        """Gift cards that are saved."""
        with self.database.write_tx() as session:
            gifts = [certificate(session, self.shop, self.now) for _ in range(count)]
            holders = self._passes(session, gifts)
        return self._saved(holders)

    def _passes(
        self, session: Session, made: Sequence[Card | Certificate]
    ) -> list[tuple[int, int]]:
        """Published passes of these, and their accounts."""
        ids = []
        for each in made:
            subject = find_by_link(session, each.link_token)
            assert subject is not None
            google_pass = ensure_pass(session, subject, GOOGLE, self.now)
            ensure_object(session, google_pass, self.now)
            ids.append((google_pass.id, each.account_id))
        passes = [pass_id for pass_id, _ in ids]
        PUBLISHER.publish(session, passes, lane=Lane.INTERACTIVE, now=self.now)
        return ids

    def _saved(self, made: Sequence[tuple[int, int]]) -> list[Holder]:
        """Insert the objects, as the sender does it where one is missing, and save them."""
        ids = [pass_id for pass_id, _ in made]
        self.execute("UPDATE google_objects SET due_at = :now WHERE pass_id = ANY(:ids)", ids=ids)
        self.sender(client=self.client(read_seconds=60.0)).drain()
        found = self.rows(
            "UPDATE google_objects SET has_users = true, saved_at = :now WHERE pass_id = ANY(:ids)"
            " RETURNING pass_id, object_id, inserted_at",
            ids=ids,
        )
        names = {row.pass_id: row.object_id for row in found}
        assert all(row.inserted_at for row in found)
        for name in names.values():
            self.google.save(name, callback=False)
        return [Holder(pass_id, names[pass_id], account) for pass_id, account in made]

    def change(self, holders: Sequence[Holder], amount: int, lane: Lane = Lane.INTERACTIVE) -> None:
        """Move every holder's balance, and publish."""
        with self.database.write_tx() as session:
            for holder in holders:
                ledger.credit(
                    session,
                    holder.account_id,
                    amount,
                    source="test",
                    actor=TILL,
                    reason="test",
                    now=self.now,
                )
        self.publish(holders, lane)

    def publish(self, holders: Sequence[Holder], lane: Lane = Lane.INTERACTIVE) -> None:
        """Publish what the passes say now."""
        with self.database.write_tx() as session:
            PUBLISHER.publish(session, [each.pass_id for each in holders], lane=lane, now=self.now)

    def advance(self, time: timedelta) -> None:
        """Let time pass, here and at Google."""
        self.now += time
        self.google.advance(time)

    def settle(self, sender: GoogleSender, rounds: int = 30) -> None:
        """Run the sender, an hour later each time, until nothing is due."""
        for _ in range(rounds):
            while sender.drain():
                pass
            if not self.waiting():
                return
            self.advance(timedelta(hours=1))
        pytest.fail(f"objects stay due: {self.objects()}")

    def waiting(self) -> int:
        """How many objects and messages are due, now or later."""
        [(waiting,)] = self.rows(
            "SELECT (SELECT count(*) FROM google_objects WHERE due_at IS NOT NULL)"
            " + (SELECT count(*) FROM google_messages WHERE state = 'due')"
        )
        return int(waiting)

    def objects(self) -> list[Row[Any]]:
        """The rows of the objects."""
        return self.rows("SELECT * FROM google_objects ORDER BY pass_id")

    def row(self, holder: Holder) -> Row[Any]:
        """The row of one."""
        [found] = self.rows("SELECT * FROM google_objects WHERE pass_id = :id", id=holder.pass_id)
        return found

    def balance(self, holder: Holder) -> int:
        """What the ledger says."""
        [(found,)] = self.rows("SELECT balance FROM accounts WHERE id = :id", id=holder.account_id)
        return int(found)

    def shown(self, holder: Holder) -> int:
        """The balance in Google Wallet, in minor units."""
        body = self.google.resource(holder.object_id)
        if "balance" in body:
            return int(body["balance"]["micros"]) // 10_000
        return int(body["loyaltyPoints"]["balance"]["int"])

    def buzzes(self, holder: Holder) -> list[dict[str, Any]]:
        """What would have buzzed for the holder."""
        return self.google.buzzes(object_id=holder.object_id)

    def rows(self, query: str, **values: Any) -> list[Row[Any]]:
        """What a query finds; `:now` is the desk's."""
        with self.database.write_tx() as session:
            return list(session.execute(text(query), {"now": self.now, **values}))

    def execute(self, query: str, **values: Any) -> None:
        """Do this to the database."""
        with self.database.write_tx() as session:
            session.execute(text(query), {"now": self.now, **values})

    def close(self) -> None:
        """Hang up."""
        for sender in self._senders:
            sender.close()


@pytest.fixture(name="desk")
def desk_fixture(database: Database) -> Iterator[Desk]:
    """A shop without cards, and Google."""
    with GoogleEmulator() as google:
        desk = Desk(database, google)
        yield desk
        desk.close()
