"""The job queue's own schema, frozen at procrastinate 3.10"""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SCHEMA = Path(__file__).parent.parent / "sql" / "procrastinate_3_10.sql"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(SCHEMA.read_text(encoding="utf-8").replace("%", "%%"))


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
