"""What organisations owe each other, counted by the day; system accounts that nothing used are gone"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "clearing_days",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("through_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_clearing_days_account_id_accounts")),
        sa.PrimaryKeyConstraint("account_id", "through_id", "day", name=op.f("pk_clearing_days")),
    )
    op.create_table(
        "clearing_mark",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("next_entry_id", sa.BigInteger(), nullable=False),
        sa.Column("next_xid", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_clearing_mark_only_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clearing_mark")),
    )
    # Nothing was ever posted to these: what is owed on certificates is on the certificates' accounts.
    op.execute("DELETE FROM accounts WHERE kind = 'system' AND code = 'certificate-liability'")
    # Which of the two names it has depended on what the migrating process had imported.
    for name in ("system_code", "ck_accounts_system_code"):
        op.drop_constraint(op.f(name), "accounts", type_="check", if_exists=True)
    op.create_check_constraint(
        op.f("ck_accounts_system_code"),
        "accounts",
        "code IN ('issuance', 'redemption', 'breakage', 'pending', 'cash-clearing', 'inter-organisation')",
    )


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
