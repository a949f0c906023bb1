"""Rehearsals of drafts of the rules"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('rehearsals',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('programme_id', sa.BigInteger(), nullable=False),
    sa.Column('rule_version_id', sa.BigInteger(), nullable=False),
    sa.Column('job_id', sa.BigInteger(), nullable=False),
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('book', postgresql.JSONB(astext_type=Text()), nullable=False),
    sa.Column('first_day', sa.Date(), nullable=False),
    sa.Column('last_day', sa.Date(), nullable=False),
    sa.Column('branches', postgresql.JSONB(astext_type=Text()), nullable=False),
    sa.Column('last_purchase_id', sa.BigInteger(), nullable=False),
    sa.Column('place', postgresql.JSONB(astext_type=Text()), nullable=True),
    sa.Column('figures', postgresql.JSONB(astext_type=Text()), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['bulk_jobs.id'], name=op.f('fk_rehearsals_job_id_bulk_jobs')),
    sa.ForeignKeyConstraint(['programme_id'], ['programmes.id'], name=op.f('fk_rehearsals_programme_id_programmes')),
    sa.ForeignKeyConstraint(['rule_version_id'], ['rule_versions.id'], name=op.f('fk_rehearsals_rule_version_id_rule_versions')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_rehearsals')),
    sa.UniqueConstraint('job_id', name=op.f('uq_rehearsals_job_id')),
    sa.UniqueConstraint('public_id', name=op.f('uq_rehearsals_public_id'))
    )
    op.create_index(op.f('ix_rehearsals_programme_id'), 'rehearsals', ['programme_id'], unique=False)


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
