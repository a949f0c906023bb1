"""A shop that sells gift certificates, a partner that accepts them, a stranger who does not."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, select

from tests.factories import TILL
from walletsvc.apple.dialect import AppleDialect
from walletsvc.apple.models import Device, Registration
from walletsvc.certificates import service
from walletsvc.certificates.models import Certificate, EventKind
from walletsvc.certificates.queries import events
from walletsvc.enrolment import certificates as with_passes
from walletsvc.enrolment.service import IssuedCertificate, issue_certificate
from walletsvc.jobs.bulk.runner import Runner
from walletsvc.jobs.drain import Drain
from walletsvc.ledger import queries as ledger_queries
from walletsvc.ledger.models import SystemCode, Transaction
from walletsvc.ledger.verify import differences
from walletsvc.merchants.acceptance import accept
from walletsvc.merchants.models import Branch, Organisation
from walletsvc.merchants.service import create_branch, create_organisation
from walletsvc.passes.models import Pass, PassTemplate, PassType, TemplateVersion, VersionState
from walletsvc.passes.publish import Publisher
from walletsvc.programmes.models import Programme
from walletsvc.programmes.service import create_gift_programme
from walletsvc.storage.engine import Database

DESCRIPTION = {
    "style": "gift",
    "description": "about",
    "colours": {"background": "#102030", "foreground": "#ffffff", "label": "#aabbcc"},
    "fields": {"primary": [{"key": "left", "label": "left", "value": "{balance}"}]},
    "barcode": {"formats": ["qr"], "message": "{code}", "alt": "{code}"},
    "texts": {
        "ru": {"about": "Подарочная карта", "left": "Осталось"},
        "en": {"about": "Gift card", "left": "Left"},
    },
}


def gift_programme(
    session: Session, organisation_id: int, now: datetime, slug: str = "gift"
) -> Programme:
    """A gift programme whose certificates have passes."""
    programme = create_gift_programme(
        session, organisation_id=organisation_id, slug=slug, name="Подарок", now=now
    )
    kind = PassType(
        identifier=f"pass.test.{slug}", team_identifier="TEST000001", epoch=7, created_at=now
    )
    session.add(kind)
    session.flush()
    template = PassTemplate(programme_id=programme.id, pass_type_id=kind.id, created_at=now)
    session.add(template)
    session.flush()
    session.add(
        TemplateVersion(
            template_id=template.id,
            number=1,
            state=VersionState.PUBLISHED,
            description=DESCRIPTION,
            digest=hashlib.sha256(slug.encode()).digest(),
            created_at=now,
            published_at=now,
        )
    )
    session.flush()
    return programme


@dataclass
class Gifts:
    """Short forms of the verbs; each opens a transaction of its own."""

    database: Database
    now: datetime
    issuer: Organisation
    partner: Organisation
    stranger: Organisation
    branch: Branch
    programme: Programme

    def later(self, **span: float) -> datetime:
        """So much after now."""
        return self.now + timedelta(**span)

    def issue(self, amount: int = 100_000, **changes: Any) -> IssuedCertificate:
        """A new certificate, sold at the branch unless said otherwise."""
        given = {"actor": TILL, "reason": "sold", "now": self.now, "branch_id": self.branch.id}
        with self.database.write_tx() as session:
            return issue_certificate(
                session, programme=self.programme, face_value=amount, **{**given, **changes}
            )

    def sold(self, amount: int = 100_000, **changes: Any) -> Certificate:
        """A new certificate."""
        return self.issue(amount, **changes).certificate

    def _do(
        self, verb: Callable[..., Any], certificate: Certificate, *args: Any, **given: Any
    ) -> Any:
        common = {"actor": TILL, "reason": "test", "now": self.now}
        with self.database.write_tx() as session:
            return verb(session, certificate, *args, **{**common, **given})

    def redeem(self, certificate: Certificate, amount: int, **given: Any) -> Transaction:
        """At the issuer's own till unless said otherwise."""
        where = {"acceptor_id": self.issuer.id, **given}
        made: Transaction = self._do(service.redeem, certificate, amount, **where)
        return made

    def refund(self, certificate: Certificate, what: Transaction, **given: Any) -> Transaction:
        """By the issuer unless said otherwise."""
        who = {"organisation_id": self.issuer.id, **given}
        made: Transaction = self._do(service.refund, certificate, what.public_id, **who)
        return made

    def pay_out(self, certificate: Certificate, **given: Any) -> Transaction:
        """The remainder to the bearer."""
        made: Transaction = self._do(service.pay_out, certificate, **given)
        return made

    def cancel(self, certificate: Certificate, **given: Any) -> Transaction:
        """Undo its issue."""
        made: Transaction = self._do(service.cancel, certificate, **given)
        return made

    def top_up(self, certificate: Certificate, amount: int, **given: Any) -> Transaction:
        """More of the same."""
        made: Transaction = self._do(service.top_up, certificate, amount, **given)
        return made

    def block(self, certificate: Certificate, **given: Any) -> Certificate:
        """Stop it."""
        made: Certificate = self._do(service.block, certificate, **given)
        return made

    def unblock(self, certificate: Certificate, **given: Any) -> Certificate:
        """Let it go on."""
        made: Certificate = self._do(service.unblock, certificate, **given)
        return made

    def transfer(self, certificate: Certificate, **given: Any) -> IssuedCertificate:
        """To another person."""
        made: IssuedCertificate = self._do(with_passes.transfer_certificate, certificate, **given)
        return made

    def read(self, certificate: Certificate) -> Certificate:
        """As it is now."""
        with self.database.read_tx() as session:
            return session.get_one(Certificate, certificate.id)

    def balance(self, certificate: Certificate) -> int:
        """What is left on its own account."""
        with self.database.read_tx() as session:
            return ledger_queries.balance(session, certificate.account_id)

    def events(self, certificate: Certificate) -> list[EventKind]:
        """What happened to it."""
        with self.database.read_tx() as session:
            return [event.kind for event in events(session, certificate)]

    def system(self, code: SystemCode, organisation: Organisation | None = None) -> int:
        """The sum of an organisation's system accounts of that code."""
        return int(
            self.scalar(
                "SELECT coalesce(sum(e.amount), 0) FROM ledger_entries e"
                " JOIN accounts a ON a.id = e.account_id"
                " WHERE a.code = :code AND a.organisation_id = :owner",
                code=code.value,
                owner=(organisation or self.issuer).id,
            )
        )

    def scalar(self, statement: str, **parameters: Any) -> Any:
        """The one value of a statement."""
        with self.database.read_tx() as session:
            return session.execute(text(statement), parameters).scalar_one()

    def clean(self) -> bool:
        """Whether `ledger verify` finds nothing; what it finds is in the error."""
        with self.database.read_tx() as session:
            found = list(differences(session))
        assert found == []
        return True

    def switch(self, branch: Branch, active: bool) -> None:
        """Switch a branch on or off."""
        with self.database.write_tx() as session:
            session.get_one(Branch, branch.id).active = active

    def hold_pass(self, certificate: Certificate) -> int:
        """Put its pass into a phone, published as it is now; returns the pass's id."""
        with self.database.write_tx() as session:
            found = session.exec(select(Pass).where(Pass.certificate_id == certificate.id)).one()
            device = Device(
                library_identifier=f"library-{found.id}",
                push_token="ab" * 32,
                registered_at=self.now,
                created_at=self.now,
            )
            session.add(device)
            session.flush()
            session.add(
                Registration(
                    device_id=device.id,
                    pass_id=found.id,
                    pass_type_id=found.pass_type_id,
                    created_at=self.now,
                )
            )
        self.publish()
        return int(found.id)

    def publish(self) -> None:
        """Let the publisher act on all that has changed."""
        publisher = Publisher([AppleDialect("https://cards.example")])
        drain = Drain(
            self.database, lambda session, batch: publisher.handle(session, batch, self.now)
        )
        while drain.run_once():
            pass

    def shown(self, pass_id: int) -> tuple[int, bool]:
        """The balance the pass shows, and whether it is voided."""
        with self.database.read_tx() as session:
            content = session.get_one(Pass, pass_id).content or {}
        return content["values"]["left"]["amount"], bool(content.get("voided"))

    def work(self, pieces: float = math.inf) -> int:
        """Do pieces of bulk jobs until none are left; how many it did."""
        runner = Runner(self.database, with_passes.handlers(), clock=lambda: self.now)
        done = 0
        while done < pieces and runner.run_once() == 0:
            done += 1
        return done


def open_gifts(database: Database, now: datetime) -> Gifts:
    """Three organisations; the first issues, the second accepts, the third does not."""
    with database.write_tx() as session:
        issuer, partner, stranger = (
            create_organisation(session, slug=slug, name=slug.title(), now=now)
            for slug in ("spa", "cafe", "other")
        )
        branch = create_branch(session, organisation_id=issuer.id, name="Набережная", now=now)
        programme = gift_programme(session, issuer.id, now)
        accept(session, issuer, partner, points=False, certificates=True, now=now)
    return Gifts(database, now, issuer, partner, stranger, branch, programme)
