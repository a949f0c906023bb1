"""Since when a branch is switched off"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Nobody knows it of those that are off already: whatever they report stays refused.
    op.add_column(
        "branches", sa.Column("switched_off_at", sa.DateTime(timezone=True), nullable=True)
    )


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
