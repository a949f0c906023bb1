"""What operating takes: timeline, push channels, bulk jobs, counters"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('bulk_jobs',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.String(length=32), nullable=False),
    sa.Column('kind', sa.String(length=40), nullable=False),
    sa.Column('title', sa.String(length=200), nullable=False),
    sa.Column('state', sa.Enum('running', 'paused', 'done', 'failed', name='bulk_state', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('parameters', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('cursor', sa.BigInteger(), nullable=False),
    sa.Column('total', sa.BigInteger(), nullable=False),
    sa.Column('done', sa.BigInteger(), nullable=False),
    sa.Column('actor', sa.String(length=80), nullable=False),
    sa.Column('problem', sa.String(length=500), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('counted_from', sa.DateTime(timezone=True), nullable=True),
    sa.Column('counted_done', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_bulk_jobs')),
    sa.UniqueConstraint('public_id', name=op.f('uq_bulk_jobs_public_id'))
    )
    op.create_index('ix_bulk_jobs_running', 'bulk_jobs', ['id'], unique=False, postgresql_where=sa.text("state = 'running'"))
    op.create_table('counters',
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('labels', sa.String(length=300), nullable=False),
    sa.Column('value', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('name', 'labels', name=op.f('pk_counters'))
    )
    op.create_table('pass_events',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('kind', sa.Enum('published', 'pushed', 'asked', 'fetched', 'unchanged', 'registered', 'unregistered', 'device-lost', name='event_kind', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('pass_type_id', sa.BigInteger(), nullable=False),
    sa.Column('pass_id', sa.BigInteger(), nullable=True),
    sa.Column('device_id', sa.BigInteger(), nullable=True),
    sa.Column('detail', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_pass_events'))
    )
    op.create_index('ix_pass_events_at', 'pass_events', ['at'], unique=False, postgresql_using='brin')
    op.create_index('ix_pass_events_device_id_id', 'pass_events', ['device_id', 'id'], unique=False, postgresql_where=sa.text('device_id IS NOT NULL'))
    op.create_index('ix_pass_events_pass_id_id', 'pass_events', ['pass_id', 'id'], unique=False, postgresql_where=sa.text('pass_id IS NOT NULL'))
    op.create_table('push_channels',
    sa.Column('pass_type_id', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.Enum('open', 'stopped', 'paused', name='channel_state', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('reason', sa.String(length=500), nullable=False),
    sa.Column('failures', sa.Integer(), nullable=False),
    sa.Column('since', sa.DateTime(timezone=True), nullable=False),
    sa.Column('retry_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['pass_type_id'], ['pass_types.id'], name=op.f('fk_push_channels_pass_type_id_pass_types')),
    sa.PrimaryKeyConstraint('pass_type_id', name=op.f('pk_push_channels'))
    )
    op.add_column('device_logs', sa.Column('pass_id', sa.BigInteger(), nullable=True))
    op.create_index(op.f('ix_device_logs_pass_id'), 'device_logs', ['pass_id'], unique=False)
    op.add_column('devices', sa.Column('quiet_until', sa.DateTime(timezone=True), nullable=True))
    op.add_column('pass_types', sa.Column('generation', sa.Integer(), nullable=False, server_default='0'))
    op.alter_column('pass_types', 'generation', server_default=None)
    op.drop_index(op.f('ix_pushes_lane_due_at'), table_name='pushes')
    op.create_index('ix_pushes_pass_type_id_lane_due_at', 'pushes', ['pass_type_id', 'lane', 'due_at'], unique=False)


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
