"""Bulk jobs: whose they are, what became of their items, items given by name"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('bulk_items',
    sa.Column('job_id', sa.BigInteger(), nullable=False),
    sa.Column('item', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['bulk_jobs.id'], name=op.f('fk_bulk_items_job_id_bulk_jobs'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('job_id', 'item', name=op.f('pk_bulk_items'))
    )
    op.add_column('bulk_jobs', sa.Column('organisation_id', sa.BigInteger(), nullable=True))
    op.add_column('bulk_jobs', sa.Column('result', postgresql.JSONB(astext_type=sa.Text()), nullable=False, server_default='{}'))
    op.alter_column('bulk_jobs', 'result', server_default=None)
    op.add_column('bulk_jobs', sa.Column('failures', sa.Integer(), nullable=False, server_default='0'))
    op.alter_column('bulk_jobs', 'failures', server_default=None)
    op.add_column('bulk_jobs', sa.Column('waiting_since', sa.DateTime(timezone=True), nullable=True))
    # Templates spread by jobs from now on: what the log still names becomes its passes.
    op.execute("INSERT INTO changes (topic, key, lane, at) SELECT 'pass', p.id, c.lane, c.at FROM changes c JOIN passes p ON p.template_id = c.key AND p.revision > 0 WHERE c.topic = 'template'")
    op.execute("DELETE FROM changes WHERE topic = 'template'")


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
