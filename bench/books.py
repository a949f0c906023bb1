"""What the ledger's benchmarks share: an installation with members, and a long past."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import text
from sqlmodel import Session

from walletsvc import settings
from walletsvc.app import Installation, open_installation
from walletsvc.ledger.models import AccountKind
from walletsvc.ledger.service import open_account
from walletsvc.merchants.service import create_organisation
from walletsvc.programmes.models import Programme
from walletsvc.programmes.service import create_points_programme
from walletsvc.storage import columns

# So many members at once, each with so many credits: one transaction, two entries and one lot
# for each, as the ledger would have written them. Points of the first half were spent since.
_PEOPLE = """
INSERT INTO persons (public_id, organisation_id, first_name, last_name, language, created_at)
SELECT 'person' || n, :organisation, 'Екатерина', 'Константинова', 'ru', :past
  FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n
"""
_ACCOUNTS = """
INSERT INTO accounts (public_id, organisation_id, unit_id, kind, balance, held, min_balance,
    created_at)
SELECT 'account' || n, :organisation, :unit, 'customer', 100 * :credits, 0, 0, :past
  FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n
"""
_CARDS = """
INSERT INTO cards (public_id, person_id, programme_id, account_id, number, link_token, link_hash,
    created_at)
SELECT 'card' || lpad(CAST(n AS text), 16, '0'), p.id, :programme, a.id,
       lpad(CAST(n AS text), 16, '0'), :sealed, decode(md5('card' || n), 'hex'), :past
  FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n
  JOIN persons p ON p.public_id = 'person' || n
  JOIN accounts a ON a.public_id = 'account' || n
"""
_HISTORY = """
WITH given AS MATERIALIZED (
    SELECT nextval('ledger_transactions_id_seq') AS id, a.id AS account_id, number
      FROM generate_series(1, CAST(:credits AS int)) number, accounts a
     WHERE a.kind = 'customer' AND a.id BETWEEN :first_id AND :last_id
), posted AS (
    INSERT INTO ledger_transactions (id, public_id, organisation_id, type, actor, reason, at)
    SELECT id, 'transaction' || id, :organisation, 'credit', 'system:walletsvc', 'Покупка',
           CAST(:past AS timestamptz) + number * interval '1 day' FROM given
), entries AS (
    INSERT INTO ledger_entries (transaction_id, account_id, unit_id, amount, balance_after)
    SELECT id, account_id, :unit, 100, 100 * number FROM given
    UNION ALL
    SELECT id, :issuance, :unit, -100, NULL FROM given
)
INSERT INTO lots (account_id, transaction_id, matured_id, original, remaining, held, source,
    promotional, earned_at, available_from, expires_at)
SELECT account_id, id, id, 100, 100, 0, 'purchase', false, CAST(:past AS timestamptz),
       CAST(:past AS timestamptz), CAST(:past AS timestamptz) + (700 + number) * interval '1 day'
  FROM given
"""
_PURCHASES = """
INSERT INTO purchases (public_id, organisation_id, card_id, account_id, programme_id, source,
    external_id, at, recorded_at, currency, total, discount, paid_points, paid_points_money,
    paid_certificates, paid_money, earned, stamps, tier_amount, state, request, outcome, receipt,
    actor)
SELECT 'purchase' || lpad(CAST(c.id AS text), 12, '0'), :organisation, c.id, c.account_id,
       :programme, 'past', CAST(c.id AS text), :past, :past, 'RUB', 50000, 0, 0, 0, 0, 50000, 25,
       0, 50000, 'recorded', '{}', '{}', '{}', 'till:past'
  FROM cards c WHERE c.account_id BETWEEN :first_id AND :last_id
"""
_TURNOVER = """
INSERT INTO turnover (account_id, organisation_id, day, amount)
SELECT a.id, :organisation, CAST(CAST(:past AS timestamptz) AS date), 50000
  FROM accounts a WHERE a.kind = 'customer' AND a.id BETWEEN :first_id AND :last_id
"""
_TIERS = """
INSERT INTO account_tiers (account_id, programme_id, tier, base, base_on, since, checked_on)
SELECT a.id, :programme, 'bronze', 50000, CAST(CAST(:past AS timestamptz) AS date), :past,
       CAST(CAST(:past AS timestamptz) AS date)
  FROM accounts a WHERE a.kind = 'customer' AND a.id BETWEEN :first_id AND :last_id
"""
_PIECE = 50_000


@dataclass(frozen=True)
class Books:
    """An installation whose members have accounts and nothing else around them."""

    installation: Installation
    organisation_id: int
    programme: Programme


@contextmanager
def books() -> Iterator[Books]:
    """A shop without members on an embedded database, all in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="walletsvc-bench-") as folder:
        loaded = settings.load(database_url=None, data_dir=Path(folder), log_level="warning")
        with open_installation(loaded, pool_size=12) as installation:
            yield _found(installation)


def _found(installation: Installation) -> Books:
    now = installation.clock()
    with installation.database.write_tx() as session:
        organisation = create_organisation(session, slug="bench", name="Лавка", now=now)
        programme = create_points_programme(
            session, organisation_id=organisation.id, slug="bench", name="Клуб", now=now
        )
        # The first account brings the organisation's own.
        open_account(
            session,
            organisation_id=organisation.id,
            unit_id=programme.unit_id,
            kind=AccountKind.CUSTOMER,
            now=now,
        )
    return Books(installation, organisation.id, programme)


def fill(found: Books, first: int, last: int, *, credits_each: int) -> list[int]:
    """Members `first` to `last`, each with so many credits of 100 points; their accounts' ids."""
    database = found.installation.database
    ids: list[int] = []
    for start in range(first, last + 1, _PIECE):
        with database.write_tx() as session:
            ids += _fill(session, found, start, min(start + _PIECE - 1, last), credits_each)
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))
    return ids


def fill_sales(found: Books, accounts: list[int]) -> None:
    """A past for these accounts at the till: a purchase, its turnover and the first tier each."""
    values = {
        "organisation": found.organisation_id,
        "programme": found.programme.id,
        "past": found.installation.clock() - timedelta(days=100),
    }
    database = found.installation.database
    for start in range(0, len(accounts), _PIECE):
        piece = accounts[start : start + _PIECE]
        with database.write_tx() as session:
            session.execute(text("SET LOCAL session_replication_role = replica"))
            for statement in (_PURCHASES, _TURNOVER, _TIERS):
                session.execute(
                    text(statement), values | {"first_id": piece[0], "last_id": piece[-1]}
                )
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))


def _fill(session: Session, found: Books, first: int, last: int, credits_each: int) -> list[int]:
    # These rows are right: checking each key of millions again would take most of the time.
    session.execute(text("SET LOCAL session_replication_role = replica"))
    values = {
        "organisation": found.organisation_id,
        "unit": found.programme.unit_id,
        "programme": found.programme.id,
        "past": found.installation.clock() - timedelta(days=100),
        "credits": credits_each,
        "sealed": columns.keyring().encrypt("a" * 32),
        "first": first,
        "last": last,
    }
    for statement in (_PEOPLE, _ACCOUNTS, _CARDS):
        session.execute(text(statement), values)
    ids = session.execute(
        text(
            "SELECT id FROM accounts WHERE public_id IN"
            " (SELECT 'account' || n FROM generate_series(CAST(:first AS int), CAST(:last AS int))"
            " n) ORDER BY id"
        ),
        values,
    )
    found_ids = list(ids.scalars())
    if credits_each:
        issuance = text(
            "SELECT id FROM accounts WHERE kind = 'system' AND code = 'issuance'"
            " AND unit_id = :unit AND organisation_id = :organisation"
        )
        values["issuance"] = session.execute(issuance, values).scalar_one()
        values |= {"first_id": found_ids[0], "last_id": found_ids[-1]}
        session.execute(text(_HISTORY), values)
    return found_ids
