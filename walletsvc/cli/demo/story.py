"""The story: a guest joins, shops, spends, receives a gift; the phone follows by itself.

Members and points go through the REST interface; returns and certificates, which it does not
offer yet, through the services beneath. Pushes and phones go through the real processes. Each
step says what happened and when; a step that does not hold ends the story with an error.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import click
import requests
from sqlmodel import select

from walletsvc.app import Installation
from walletsvc.cards.models import Card
from walletsvc.certificates.models import Certificate
from walletsvc.cli.demo.seed import TILL, Shop
from walletsvc.core.errors import WalletsvcError
from walletsvc.emulators.phone import Phone, Update
from walletsvc.enrolment.service import issue_certificate
from walletsvc.ledger import service as ledger
from walletsvc.ledger.models import Transaction
from walletsvc.ledger.verify import differences

PATIENCE_SECONDS: Final = 15.0


class StoryError(WalletsvcError):
    """A step of the story did not hold."""

    code = "story"
    title = "The demo does not work"


@dataclass
class Stage:
    """What the story is played with."""

    installation: Installation
    shop: Shop
    phone: Phone
    base_url: str
    api_key: str
    started: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """One line with the time since the story began."""
        click.echo(f"  {time.monotonic() - self.started:7.2f} s  {text}")

    def post(self, path: str, body: dict[str, object]) -> dict[str, Any]:
        """A REST call that must succeed."""
        answer = requests.post(
            f"{self.base_url}/api/v1{path}",
            json=body,
            headers={
                "Authorization": f"Bearer {self.api_key}",
                "Idempotency-Key": secrets.token_hex(16),
            },
            timeout=10,
        )
        if not answer.ok:
            raise StoryError(f"POST {path} answered {answer.status_code}: {answer.text[:300]}")
        body_: dict[str, Any] = answer.json()
        return body_

    def wait(self, key: str, expected: float) -> Update:
        """The phone's next update, which must have `expected` in the field `key`."""
        update = self.phone.wait_for_update(PATIENCE_SECONDS)
        value = update.after.values[key]
        if value != expected:
            raise StoryError(f"The phone has {value!r} in '{key}', not {expected!r}.")
        return update


def play(stage: Stage) -> None:
    """Play all scenes; raises StoryError (or what the phone objected to) when one fails."""
    scenes: tuple[Callable[[Stage], None], ...] = (_loyalty, _gift, _leave, _books)
    for scene in scenes:
        scene(stage)
    if stage.phone.complaints:
        raise StoryError(f"The phone complained: {'; '.join(stage.phone.complaints)}")


def _loyalty(stage: Stage) -> None:
    """Join, add the card, earn, spend, have the spending undone."""
    member = stage.post(
        "/members",
        {
            "programme": stage.shop.loyalty.slug,
            "phone": f"+7900{secrets.randbelow(10**7):07d}",
            "first_name": "Вера",
            "last_name": f"Ильина-{secrets.token_hex(2)}",
        },
    )
    card_id, links = member["card"]["id"], member
    stage.say(f"Vera joins at the till: card {member['card']['number']}")
    stage.phone.add(links["apple_url"])
    stage.say("her phone downloads the pass, verifies every hash and the signature, registers")
    for amount, balance, what in (
        (150, 150, "a purchase earns 150 points"),
        (-60, 90, "she pays 60 points for a croissant"),
    ):
        sent = time.monotonic()
        posted = stage.post(f"/cards/{card_id}/adjustments", {"amount": amount, "reason": what})
        answered = time.monotonic()
        update = stage.wait("points", balance)
        _told(stage, what, update, sent, answered)
    with stage.installation.database.read_tx() as session:
        account = session.exec(select(Card.account_id).where(Card.public_id == card_id)).one()
        spending = session.exec(
            select(Transaction.id).where(Transaction.public_id == posted["transaction"]["id"])
        ).one()
    pushes = stage.phone.pushes_received
    sent = time.monotonic()
    with stage.installation.database.write_tx() as session:
        ledger.reverse(
            session, spending, actor=TILL, reason="Возврат", now=stage.installation.clock()
        )
        # Two changes in one breath: the phone is told once, of the result.
        ledger.credit(
            session, account, 10, source="apology", actor=TILL, reason="Извинение",
            now=stage.installation.clock(),
        )  # fmt: skip
    answered = time.monotonic()
    update = stage.wait("points", 160)
    if stage.phone.pushes_received != pushes + 1:
        raise StoryError("Two changes in one breath were not one push.")
    _told(stage, "the croissant is returned, with 10 points on top", update, sent, answered)


def _gift(stage: Stage) -> None:
    """Receive a certificate and pay part of a bill with it."""
    with stage.installation.database.write_tx() as session:
        issued = issue_certificate(
            session,
            programme=stage.shop.gift,
            face_value=300_000,
            recipient_name="Вера Ильина",
            actor=TILL,
            reason="Продажа сертификата",
            now=stage.installation.clock(),
        )
        token = issued.certificate.link_token
        account = issued.certificate.account_id
    stage.phone.add(f"{stage.base_url}/p/{token}.pkpass")
    stage.say("a gift certificate for 3,000.00 RUB is bought at one branch and added")
    sent = time.monotonic()
    with stage.installation.database.write_tx() as session:
        ledger.debit(
            session, account, 84_050, actor=TILL, reason="Оплата сертификатом",
            branch_id=stage.shop.branches[-1].id, now=stage.installation.clock(),
        )  # fmt: skip
    answered = time.monotonic()
    update = stage.wait("balance", 2159.50)
    _told(stage, "840.50 of it pay for a dinner at another", update, sent, answered)


def _leave(stage: Stage) -> None:
    """Remove both passes from the phone."""
    stage.phone.remove_all()
    stage.say("the passes are deleted from the phone, which unregisters both")


def _books(stage: Stage) -> None:
    """The ledger must add up after all this."""
    with stage.installation.database.read_tx() as session:
        difference = next(iter(differences(session)), None)
        members = session.exec(select(Card.id)).all()
        gifts = session.exec(select(Certificate.id)).all()
    if difference is not None:
        raise StoryError(f"The ledger does not add up: {difference}")
    stage.say(f"the books of {len(members)} cards and {len(gifts)} certificates add up")


def _told(stage: Stage, what: str, update: Update, sent: float, answered: float) -> None:
    """One line about a change that reached the phone, with its times in milliseconds."""
    pushed = "" if update.pushed_at is None else f"push after {_ms(update.pushed_at - sent)}, "
    message = update.messages[0] if update.messages else "no message"
    stage.say(
        f"{what}: answered in {_ms(answered - sent)}, {pushed}"
        f"on the phone after {_ms(update.installed_at - sent)}: “{message}”"
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
