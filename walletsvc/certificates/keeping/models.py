"""Which certificates a person keeps with their card."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import SQLModel

from walletsvc.storage.columns import moment, reference


class KeptCertificate(SQLModel, table=True):
    """A person knew a certificate's code and wants to see it beside the card.

    It makes nobody its owner: whoever has the code can spend it, as before.
    """

    __tablename__ = "kept_certificates"

    person_id: int = reference("persons.id", index=False, primary_key=True)
    certificate_id: int = reference("certificates.id", primary_key=True)
    added_at: datetime = moment()
