"""Room in the pages of passes, so that a new state of a pass finds place beside the old one"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Pages written from now on; older ones get their room as their rows move away.
    op.execute("ALTER TABLE passes SET (fillfactor = 45)")


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
