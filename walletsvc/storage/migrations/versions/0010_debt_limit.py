"""How far a programme's holders may go into debt; transactions are found by their time"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("programmes", sa.Column("debt_limit", sa.BigInteger(), nullable=False, server_default="0"))
    op.alter_column("programmes", "debt_limit", server_default=None)
    op.create_check_constraint(op.f("ck_programmes_debt_limit_not_negative"), "programmes", "debt_limit >= 0")
    op.create_index("ix_ledger_transactions_at", "ledger_transactions", ["at"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
