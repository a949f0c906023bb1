"""Which texts of consents the message of a proof named"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Nobody knows any more what the messages before named.
    op.add_column(
        "phone_proofs",
        sa.Column("texts", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
    )
    op.alter_column("phone_proofs", "texts", server_default=None)


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
