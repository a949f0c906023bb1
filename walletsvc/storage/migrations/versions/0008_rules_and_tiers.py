"""Versions of rules, groups of branches, turnover and tiers; programmes of discounts and stamps"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('branch_groups',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('organisation_id', sa.BigInteger(), nullable=False),
    sa.Column('slug', sa.String(length=40), nullable=False),
    sa.Column('name', sa.String(length=120), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['organisation_id'], ['organisations.id'], name=op.f('fk_branch_groups_organisation_id_organisations')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_branch_groups')),
    sa.UniqueConstraint('organisation_id', 'slug', name=op.f('uq_branch_groups_organisation_id_slug')),
    sa.UniqueConstraint('public_id', name=op.f('uq_branch_groups_public_id'))
    )
    op.create_table('branch_group_members',
    sa.Column('group_id', sa.BigInteger(), nullable=False),
    sa.Column('branch_id', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['branch_id'], ['branches.id'], name=op.f('fk_branch_group_members_branch_id_branches')),
    sa.ForeignKeyConstraint(['group_id'], ['branch_groups.id'], name=op.f('fk_branch_group_members_group_id_branch_groups')),
    sa.PrimaryKeyConstraint('group_id', 'branch_id', name=op.f('pk_branch_group_members'))
    )
    op.create_index(op.f('ix_branch_group_members_branch_id'), 'branch_group_members', ['branch_id'], unique=False)
    op.create_table('rule_versions',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('programme_id', sa.BigInteger(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('state', sa.Enum('draft', 'published', 'retired', name='rule_state', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('book', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('note', sa.String(length=200), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('published_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('retired_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("(state = 'draft') = (published_at IS NULL) AND (state = 'retired') = (retired_at IS NOT NULL)", name=op.f('ck_rule_versions_state_told')),
    sa.ForeignKeyConstraint(['programme_id'], ['programmes.id'], name=op.f('fk_rule_versions_programme_id_programmes')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_rule_versions')),
    sa.UniqueConstraint('programme_id', 'number', name=op.f('uq_rule_versions_programme_id_number')),
    sa.UniqueConstraint('public_id', name=op.f('uq_rule_versions_public_id'))
    )
    op.create_index('uq_rule_versions_draft', 'rule_versions', ['programme_id'], unique=True, postgresql_where=sa.text("state = 'draft'"))
    op.create_index('uq_rule_versions_published', 'rule_versions', ['programme_id'], unique=True, postgresql_where=sa.text("state = 'published'"))
    op.create_table('turnover',
    sa.Column('account_id', sa.BigInteger(), nullable=False),
    sa.Column('organisation_id', sa.BigInteger(), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_turnover_account_id_accounts')),
    sa.ForeignKeyConstraint(['organisation_id'], ['organisations.id'], name=op.f('fk_turnover_organisation_id_organisations')),
    sa.PrimaryKeyConstraint('account_id', 'organisation_id', 'day', name=op.f('pk_turnover'))
    )
    op.create_index('ix_turnover_day', 'turnover', ['day'], unique=False)
    op.create_table('account_tiers',
    sa.Column('account_id', sa.BigInteger(), nullable=False),
    sa.Column('programme_id', sa.BigInteger(), nullable=False),
    sa.Column('tier', sa.String(length=40), nullable=True),
    sa.Column('base', sa.BigInteger(), nullable=False),
    sa.Column('base_on', sa.Date(), nullable=False),
    sa.Column('since', sa.DateTime(timezone=True), nullable=False),
    sa.Column('checked_on', sa.Date(), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_account_tiers_account_id_accounts')),
    sa.ForeignKeyConstraint(['programme_id'], ['programmes.id'], name=op.f('fk_account_tiers_programme_id_programmes')),
    sa.PrimaryKeyConstraint('account_id', name=op.f('pk_account_tiers'))
    )
    op.create_index('ix_account_tiers_checked', 'account_tiers', ['programme_id', 'checked_on'], unique=False)
    op.create_table('tier_changes',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('account_id', sa.BigInteger(), nullable=False),
    sa.Column('from_tier', sa.String(length=40), nullable=True),
    sa.Column('to_tier', sa.String(length=40), nullable=True),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('cause', sa.Enum('purchase', 'rules', 'schedule', 'merge', 'leave', name='tier_cause', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('purchase_id', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_tier_changes_account_id_accounts')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_tier_changes'))
    )
    op.create_index('ix_tier_changes_account_id_id', 'tier_changes', ['account_id', 'id'], unique=False)
    # Its name depends on what had been imported when the first migration ran.
    for name in ("programme_kind", "ck_programmes_programme_kind"):
        op.execute(f"ALTER TABLE programmes DROP CONSTRAINT IF EXISTS {name}")
    op.execute("ALTER TABLE programmes ADD CONSTRAINT ck_programmes_programme_kind CHECK (kind IN ('points', 'gift', 'discount', 'stamps'))")


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
