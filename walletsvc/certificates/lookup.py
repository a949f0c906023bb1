"""Finding a certificate by its code, which is money: whoever guesses must learn nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from walletsvc.certificates.models import Certificate
from walletsvc.certificates.rules import normalise_code
from walletsvc.core.errors import InputError
from walletsvc.storage.columns import keyring
from walletsvc.storage.limits import Limit

# Only tries that failed count in the end. A code has 72 random bits, so these do not keep
# anybody from guessing one; they make trying visible and pointless.
PER_KEY: Final = Limit("certificate-lookup-key", 30, timedelta(minutes=10))
PER_ORGANISATION: Final = Limit("certificate-lookup-organisation", 150, timedelta(minutes=10))

# What is not accepted is not found by the same statement: neither the answer nor the time it
# takes tells a certificate of another organisation from one that does not exist.
_ACCEPTED: Final = text("""
SELECT c.id FROM certificates c
  JOIN programmes p ON p.id = c.programme_id
 WHERE c.code_hash = :code_hash
   AND (p.organisation_id = :organisation_id OR EXISTS (
        SELECT FROM acceptances a WHERE a.issuer_id = p.organisation_id
           AND a.acceptor_id = :organisation_id AND a.certificates))
""")


def look_up(session: Session, code: str, organisation_id: int) -> Certificate | None:
    """The certificate with this code, if this organisation accepts it.

    A code that cannot be one is looked for all the same, so that it answers as one that nobody
    has. Count the try first (`PER_KEY`, `PER_ORGANISATION`).
    """
    try:
        wanted = normalise_code(code)
    except InputError:
        wanted = ""  # no certificate has this code
    found = session.execute(
        _ACCEPTED,
        {"code_hash": keyring().lookup_hash(wanted), "organisation_id": organisation_id},
    ).scalar()
    return None if found is None else session.get_one(Certificate, found)
