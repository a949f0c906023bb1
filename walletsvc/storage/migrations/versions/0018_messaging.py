"""Gateways and messages"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('gateways',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('organisation_id', sa.BigInteger(), nullable=True),
    sa.Column('channel', sa.Enum('sms', 'email', 'call', 'messenger', name='gateway_channel', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('kind', sa.String(length=40), nullable=False),
    sa.Column('label', sa.String(length=120), nullable=False),
    sa.Column('config', sa.Text(), nullable=False),
    sa.Column('hook_secret', sa.Text(), nullable=False),
    sa.Column('position', sa.SmallInteger(), nullable=False),
    sa.Column('stopped_reason', sa.String(length=300), nullable=False),
    sa.Column('failures', sa.Integer(), nullable=False),
    sa.Column('retry_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("(stopped_reason = '') = (retry_at IS NULL)", name=op.f('ck_gateways_stop_told')),
    sa.ForeignKeyConstraint(['organisation_id'], ['organisations.id'], name=op.f('fk_gateways_organisation_id_organisations')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_gateways')),
    sa.UniqueConstraint('public_id', name=op.f('uq_gateways_public_id'))
    )
    op.create_index('ix_gateways_open', 'gateways', ['channel', 'position'], unique=False, postgresql_where=sa.text('closed_at IS NULL'))
    op.create_index(op.f('ix_gateways_organisation_id'), 'gateways', ['organisation_id'], unique=False)
    op.create_table('messages',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('organisation_id', sa.BigInteger(), nullable=False),
    sa.Column('person_id', sa.BigInteger(), nullable=True),
    sa.Column('kind', sa.String(length=32), nullable=False),
    sa.Column('language', sa.String(length=2), nullable=False),
    sa.Column('lane', sa.SmallInteger(), nullable=False),
    sa.Column('channels', postgresql.ARRAY(Text()), nullable=False),
    sa.Column('step', sa.SmallInteger(), nullable=False),
    sa.Column('recipient', sa.Text(), nullable=False),
    sa.Column('body', sa.Text(), nullable=True),
    sa.Column('state', sa.Enum('queued', 'sending', 'sent', 'delivered', 'failed', 'refused', 'expired', name='message_state', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('gateway_id', sa.BigInteger(), nullable=True),
    sa.Column('external_id', sa.String(length=120), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('segments', sa.Integer(), nullable=False),
    sa.Column('price', sa.BigInteger(), nullable=False),
    sa.Column('spent', sa.BigInteger(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('error', sa.String(length=300), nullable=False),
    sa.Column('history', postgresql.JSONB(astext_type=Text()), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('sent_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('final_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('attempts >= 0 AND segments >= 0 AND price >= 0', name=op.f('ck_messages_counted')),
    sa.CheckConstraint('step < cardinality(channels)', name=op.f('ck_messages_step_within')),
    sa.ForeignKeyConstraint(['gateway_id'], ['gateways.id'], name=op.f('fk_messages_gateway_id_gateways')),
    sa.ForeignKeyConstraint(['organisation_id'], ['organisations.id'], name=op.f('fk_messages_organisation_id_organisations')),
    sa.ForeignKeyConstraint(['person_id'], ['persons.id'], name=op.f('fk_messages_person_id_persons')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_messages')),
    sa.UniqueConstraint('public_id', name=op.f('uq_messages_public_id'))
    )
    op.create_index(op.f('ix_messages_created_at'), 'messages', ['created_at'], unique=False)
    op.create_index('ix_messages_due', 'messages', ['lane', 'due_at'], unique=False, postgresql_where=sa.text('due_at IS NOT NULL'))
    op.create_index('ix_messages_gateway_external', 'messages', ['gateway_id', 'external_id'], unique=False, postgresql_where=sa.text("external_id <> ''"))
    op.create_index(op.f('ix_messages_organisation_id'), 'messages', ['organisation_id'], unique=False)
    op.create_index(op.f('ix_messages_person_id'), 'messages', ['person_id'], unique=False)


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
