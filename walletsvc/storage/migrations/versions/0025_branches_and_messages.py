"""Since when a branch is switched off; what a message to a phone tells the difference to"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Nobody knows it of those that are off already: whatever they report stays refused.
    op.add_column(
        "branches", sa.Column("switched_off_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column(
        "google_messages",
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    )


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
