"""A desk at which Apple's answers are imported."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from sqlmodel import col, select

from tests.apple.authority import PASS_TYPE, TEAM, apple, with_key
from walletsvc.apple import identity, importing
from walletsvc.apple.bundles import Bundle
from walletsvc.apple.importing import Imported
from walletsvc.apple.models import (
    SigningCertificate,
)
from walletsvc.apple.signing_requests import request
from walletsvc.core.actor import SYSTEM
from walletsvc.passes.models import PassType
from walletsvc.settings import Settings
from walletsvc.storage.engine import Database

ALL = (apple().wwdr,)


@dataclass
class Desk:
    """An operator's hands: an installation that trusts our Apple, and a clock."""

    database: Database
    settings: Settings
    now: datetime

    def ask(self) -> bytes:
        with self.database.write_tx() as session:
            return request(session, self.settings, pass_type=PASS_TYPE, team=TEAM).pem

    def bring(self, bundle: Bundle, **options: Any) -> Imported:
        with self.database.write_tx() as session:
            return importing.import_certificate(
                session, self.settings, bundle, actor=SYSTEM, now=self.now, **options
            )

    def renew(self, number: int, at: datetime | None = None) -> Bundle:
        """Import a certificate with the key of this number; returns it without the key."""
        bundle = with_key(number=number, at=at or self.now)
        self.bring(bundle)
        return replace(bundle, key=None)

    def rows(self) -> list[SigningCertificate]:
        with self.database.read_tx() as session:
            return list(
                session.exec(select(SigningCertificate).order_by(col(SigningCertificate.id)))
            )

    def states(self) -> list[str]:
        return [row.state.value for row in self.rows()]

    def problems(self) -> list[identity.Problem]:
        with self.database.read_tx() as session:
            return identity.check(session, self.settings, self.now)

    def signs(self) -> x509.Certificate:
        with self.database.read_tx() as session:
            kind = session.exec(select(PassType.id)).one()
            return identity.load(session, self.settings, kind, self.now).certificate

    def files(self) -> dict[Path, bytes]:
        found = self.settings.certs_dir.rglob("*")
        return {path: path.read_bytes() for path in found if path.is_file()}
