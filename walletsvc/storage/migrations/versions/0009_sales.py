"""Purchases, their lines and parts, and refunds"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('purchases',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('organisation_id', sa.BigInteger(), nullable=False),
    sa.Column('branch_id', sa.BigInteger(), nullable=True),
    sa.Column('channel', sa.String(length=40), nullable=True),
    sa.Column('card_id', sa.BigInteger(), nullable=True),
    sa.Column('account_id', sa.BigInteger(), nullable=True),
    sa.Column('programme_id', sa.BigInteger(), nullable=True),
    sa.Column('source', sa.String(length=40), nullable=False),
    sa.Column('external_id', sa.String(length=80), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('recorded_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('total', sa.BigInteger(), nullable=False),
    sa.Column('discount', sa.BigInteger(), nullable=False),
    sa.Column('paid_points', sa.BigInteger(), nullable=False),
    sa.Column('paid_points_money', sa.BigInteger(), nullable=False),
    sa.Column('paid_certificates', sa.BigInteger(), nullable=False),
    sa.Column('paid_money', sa.BigInteger(), nullable=False),
    sa.Column('earned', sa.BigInteger(), nullable=False),
    sa.Column('stamps', sa.BigInteger(), nullable=False),
    sa.Column('tier_amount', sa.BigInteger(), nullable=False),
    sa.Column('tier_before', sa.String(length=40), nullable=True),
    sa.Column('tier_after', sa.String(length=40), nullable=True),
    sa.Column('rule_version_id', sa.BigInteger(), nullable=True),
    sa.Column('state', sa.Enum('recorded', 'partly_refunded', 'refunded', 'corrected', name='purchase_state', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('corrects_id', sa.BigInteger(), nullable=True),
    sa.Column('request', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('outcome', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('receipt', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.CheckConstraint('paid_points_money + paid_certificates + paid_money = total - discount', name=op.f('ck_purchases_paid_in_full')),
    sa.CheckConstraint('total >= 0 AND discount BETWEEN 0 AND total', name=op.f('ck_purchases_discount_range')),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_purchases_account_id_accounts')),
    sa.ForeignKeyConstraint(['branch_id'], ['branches.id'], name=op.f('fk_purchases_branch_id_branches')),
    sa.ForeignKeyConstraint(['card_id'], ['cards.id'], name=op.f('fk_purchases_card_id_cards')),
    sa.ForeignKeyConstraint(['corrects_id'], ['purchases.id'], name=op.f('fk_purchases_corrects_id_purchases')),
    sa.ForeignKeyConstraint(['organisation_id'], ['organisations.id'], name=op.f('fk_purchases_organisation_id_organisations')),
    sa.ForeignKeyConstraint(['programme_id'], ['programmes.id'], name=op.f('fk_purchases_programme_id_programmes')),
    sa.ForeignKeyConstraint(['rule_version_id'], ['rule_versions.id'], name=op.f('fk_purchases_rule_version_id_rule_versions')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_purchases')),
    sa.UniqueConstraint('organisation_id', 'source', 'external_id', name=op.f('uq_purchases_organisation_id_source_external_id')),
    sa.UniqueConstraint('public_id', name=op.f('uq_purchases_public_id'))
    )
    op.create_index('ix_purchases_card_id_at', 'purchases', ['card_id', 'at'], unique=False)
    op.create_index('ix_purchases_card_id_id', 'purchases', ['card_id', 'id'], unique=False)
    op.create_index(op.f('ix_purchases_corrects_id'), 'purchases', ['corrects_id'], unique=False)
    op.create_index('ix_purchases_organisation_id_id', 'purchases', ['organisation_id', 'id'], unique=False)
    op.create_table('purchase_lines',
    sa.Column('purchase_id', sa.BigInteger(), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('item', sa.String(length=64), nullable=True),
    sa.Column('item_group', sa.String(length=64), nullable=True),
    sa.Column('name', sa.String(length=80), nullable=True),
    sa.Column('quantity', sa.Numeric(precision=18, scale=3), nullable=False),
    sa.Column('sum', sa.BigInteger(), nullable=False),
    sa.Column('discount', sa.BigInteger(), nullable=False),
    sa.Column('earned', sa.BigInteger(), nullable=False),
    sa.Column('points_paid_money', sa.BigInteger(), nullable=False),
    sa.Column('certificates_money', sa.BigInteger(), nullable=False),
    sa.Column('returned_quantity', sa.Numeric(precision=18, scale=3), nullable=False),
    sa.Column('returned_sum', sa.BigInteger(), nullable=False),
    sa.CheckConstraint('returned_quantity BETWEEN 0 AND quantity AND returned_sum BETWEEN 0 AND sum - discount', name=op.f('ck_purchase_lines_returned_range')),
    sa.ForeignKeyConstraint(['purchase_id'], ['purchases.id'], name=op.f('fk_purchase_lines_purchase_id_purchases')),
    sa.PrimaryKeyConstraint('purchase_id', 'position', name=op.f('pk_purchase_lines'))
    )
    op.create_table('purchase_parts',
    sa.Column('purchase_id', sa.BigInteger(), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('kind', sa.Enum('points', 'certificate', 'earn', 'stamps', name='purchase_part_kind', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('transaction_id', sa.BigInteger(), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('certificate_id', sa.BigInteger(), nullable=True),
    sa.CheckConstraint('amount > 0', name=op.f('ck_purchase_parts_amount_positive')),
    sa.ForeignKeyConstraint(['certificate_id'], ['certificates.id'], name=op.f('fk_purchase_parts_certificate_id_certificates')),
    sa.ForeignKeyConstraint(['purchase_id'], ['purchases.id'], name=op.f('fk_purchase_parts_purchase_id_purchases')),
    sa.ForeignKeyConstraint(['transaction_id'], ['ledger_transactions.id'], name=op.f('fk_purchase_parts_transaction_id_ledger_transactions')),
    sa.PrimaryKeyConstraint('purchase_id', 'position', name=op.f('pk_purchase_parts')),
    sa.UniqueConstraint('transaction_id', name=op.f('uq_purchase_parts_transaction_id'))
    )
    op.create_index(op.f('ix_purchase_parts_certificate_id'), 'purchase_parts', ['certificate_id'], unique=False)
    op.create_table('refunds',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('organisation_id', sa.BigInteger(), nullable=False),
    sa.Column('branch_id', sa.BigInteger(), nullable=True),
    sa.Column('source', sa.String(length=40), nullable=False),
    sa.Column('external_id', sa.String(length=80), nullable=False),
    sa.Column('purchase_id', sa.BigInteger(), nullable=True),
    sa.Column('purchase_source', sa.String(length=40), nullable=False),
    sa.Column('purchase_external_id', sa.String(length=80), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('recorded_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('state', sa.Enum('done', 'waiting', 'refused', name='refund_state', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('request', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('outcome', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('money', sa.BigInteger(), nullable=False),
    sa.Column('points_returned', sa.BigInteger(), nullable=False),
    sa.Column('certificates_returned', sa.BigInteger(), nullable=False),
    sa.Column('taken_back', sa.BigInteger(), nullable=False),
    sa.Column('shortfall', sa.BigInteger(), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.CheckConstraint("purchase_id IS NOT NULL OR state = 'waiting'", name=op.f('ck_refunds_purchase_known_when_done')),
    sa.ForeignKeyConstraint(['branch_id'], ['branches.id'], name=op.f('fk_refunds_branch_id_branches')),
    sa.ForeignKeyConstraint(['organisation_id'], ['organisations.id'], name=op.f('fk_refunds_organisation_id_organisations')),
    sa.ForeignKeyConstraint(['purchase_id'], ['purchases.id'], name=op.f('fk_refunds_purchase_id_purchases')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_refunds')),
    sa.UniqueConstraint('organisation_id', 'source', 'external_id', name=op.f('uq_refunds_organisation_id_source_external_id')),
    sa.UniqueConstraint('public_id', name=op.f('uq_refunds_public_id'))
    )
    op.create_index(op.f('ix_refunds_purchase_id'), 'refunds', ['purchase_id'], unique=False)
    op.create_index('ix_refunds_waiting', 'refunds', ['organisation_id', 'purchase_source', 'purchase_external_id'], unique=False, postgresql_where=sa.text("state = 'waiting'"))


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
