"""Reading certificates: one with what belongs to it, its redemptions, why it is worth what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlmodel import Session, col, select

from walletsvc.certificates.models import Certificate, CertificateEvent
from walletsvc.ledger.models import Account
from walletsvc.merchants.models import Acceptance, Branch
from walletsvc.programmes.models import Programme

_HEIR: Final = text("""
WITH RECURSIVE chain AS (
    SELECT id, merged_into_id FROM accounts WHERE id = :id
    UNION ALL
    SELECT a.id, a.merged_into_id FROM accounts a JOIN chain ON a.id = chain.merged_into_id
)
SELECT id FROM chain WHERE merged_into_id IS NULL
""")

# Whose redemption account got the value tells who took it.
_REDEMPTION: Final = text("""
SELECT t.id, holder.account_id, taker.organisation_id AS acceptor_id,
       t.organisation_id AS issuer_id
  FROM ledger_transactions t
  JOIN LATERAL (
    SELECT e.account_id FROM ledger_entries e JOIN accounts a ON a.id = e.account_id
     WHERE e.transaction_id = t.id AND a.kind = 'certificate') holder ON true
  JOIN LATERAL (
    SELECT a.organisation_id FROM ledger_entries e JOIN accounts a ON a.id = e.account_id
     WHERE e.transaction_id = t.id AND a.code = 'redemption') taker ON true
 WHERE t.public_id = :public_id AND t.type IN ('debit', 'capture')
""")

# What undoes something counts with what it undoes, told by the other side of the entry.
_PARTS: Final = text("""
WITH own AS (
    SELECT e.id, e.amount, t.type, t.undoes_id, coalesce(u.type, t.type) AS about,
           coalesce(u.id, t.id) AS origin_id
      FROM ledger_entries e
      JOIN ledger_transactions t ON t.id = e.transaction_id
      LEFT JOIN ledger_transactions u ON u.id = t.undoes_id
     WHERE e.account_id = :account_id
), told AS (
    SELECT own.*, EXISTS (
               SELECT FROM ledger_entries x JOIN accounts a ON a.id = x.account_id
                WHERE x.transaction_id = own.origin_id AND a.code = 'redemption') AS redeemed
      FROM own
)
SELECT CASE WHEN about = 'merge' THEN CASE WHEN amount < 0 THEN 'transferred_out'
                                           ELSE 'transferred_in' END
            WHEN about IN ('debit', 'capture') AND redeemed
                 THEN CASE WHEN undoes_id IS NULL THEN 'redeemed' ELSE 'refunded' END
            WHEN about IN ('debit', 'capture')
                 THEN CASE WHEN undoes_id IS NULL THEN 'paid_out' ELSE 'paid_out_undone' END
            WHEN undoes_id IS NOT NULL THEN 'issue_undone'
            WHEN id = (SELECT min(id) FROM own) THEN 'issued'
            ELSE 'topped_up' END AS kind,
       count(*) AS count, sum(amount)::bigint AS amount
  FROM told GROUP BY 1 ORDER BY min(id)
""")


@dataclass(frozen=True, slots=True)
class CertificateView:
    """A certificate with what belongs to it; `own` when the reader's organisation issued it."""

    certificate: Certificate
    programme: Programme
    account: Account
    branch_public_id: str | None
    own: bool

    @property
    def balance(self) -> int:
        """What is left, in minor units of the currency."""
        return self.account.balance or 0


@dataclass(frozen=True, slots=True)
class Redemption:
    """A transaction that took a certificate's value, and between whom."""

    transaction_id: int
    acceptor_id: int
    issuer_id: int


@dataclass(frozen=True, slots=True)
class Part:
    """What one kind of movement added to the balance or took from it, and in how many."""

    kind: str
    count: int
    amount: int


def find(session: Session, organisation_id: int, public_id: str) -> CertificateView | None:
    """The certificate with this public id, if the organisation issued or accepts it."""
    certificate = session.exec(
        select(Certificate).where(Certificate.public_id == public_id)
    ).first()
    return None if certificate is None else view(session, organisation_id, certificate)


def view(
    session: Session, organisation_id: int, certificate: Certificate
) -> CertificateView | None:
    """What the organisation may see of it; None when that is nothing."""
    programme = session.get_one(Programme, certificate.programme_id)
    own = programme.organisation_id == organisation_id
    if not own:
        accepted = session.get(
            Acceptance, (programme.organisation_id, organisation_id), populate_existing=True
        )
        if accepted is None or not accepted.certificates:
            return None
    # Read anew: the ledger changes balances by SQL, behind the session's back.
    account = session.get_one(Account, certificate.account_id, populate_existing=True)
    branch = session.get(Branch, certificate.branch_id) if certificate.branch_id else None
    return CertificateView(
        certificate, programme, account, branch.public_id if branch else None, own
    )


def find_any(session: Session, public_id: str) -> Certificate | None:
    """The certificate with this public id, whoever asks."""
    return session.exec(select(Certificate).where(Certificate.public_id == public_id)).first()


def kin(session: Session, certificate: Certificate) -> tuple[str | None, str | None]:
    """The public ids of the certificate this one was made of, and of the one made of it."""
    former = None
    if certificate.transferred_from_id is not None:
        former = session.get_one(Certificate, certificate.transferred_from_id).public_id
    later = session.exec(
        select(Certificate.public_id).where(Certificate.transferred_from_id == certificate.id)
    ).first()
    return former, later


def events(session: Session, certificate: Certificate) -> Sequence[CertificateEvent]:
    """How its state changed, oldest first."""
    return session.exec(
        select(CertificateEvent)
        .where(CertificateEvent.certificate_id == certificate.id)
        .order_by(col(CertificateEvent.id))
    ).all()


def heir(session: Session, account_id: int) -> int:
    """The account that has what this one had: itself, unless it was merged into another."""
    return int(session.execute(_HEIR, {"id": account_id}).scalar_one())


def find_redemption(
    session: Session, certificate: Certificate, transaction_id: str
) -> Redemption | None:
    """The redemption with this public id, of this certificate or of one it was transferred
    from or to."""
    row = session.execute(_REDEMPTION, {"public_id": transaction_id}).first()
    if row is None or heir(session, row.account_id) != heir(session, certificate.account_id):
        return None
    return Redemption(row.id, row.acceptor_id, row.issuer_id)


def parts(session: Session, certificate: Certificate) -> list[Part]:
    """What the balance is made of, in the order it first happened; the amounts sum to it."""
    rows = session.execute(_PARTS, {"account_id": certificate.account_id})
    return [Part(**row) for row in rows.mappings()]
