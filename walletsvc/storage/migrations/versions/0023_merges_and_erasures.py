"""Mergers of persons and cards, erasures"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('erasures',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('organisation_id', sa.BigInteger(), nullable=False),
    sa.Column('person_id', sa.BigInteger(), nullable=False),
    sa.Column('reason', sa.String(length=200), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('forfeited', postgresql.JSONB(astext_type=Text()), nullable=False),
    sa.Column('remaining', postgresql.JSONB(astext_type=Text()), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['organisation_id'], ['organisations.id'], name=op.f('fk_erasures_organisation_id_organisations')),
    sa.ForeignKeyConstraint(['person_id'], ['persons.id'], name=op.f('fk_erasures_person_id_persons')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_erasures')),
    sa.UniqueConstraint('person_id', name=op.f('uq_erasures_person_id')),
    sa.UniqueConstraint('public_id', name=op.f('uq_erasures_public_id'))
    )
    op.create_table('person_merges',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('organisation_id', sa.BigInteger(), nullable=False),
    sa.Column('kept_id', sa.BigInteger(), nullable=False),
    sa.Column('merged_id', sa.BigInteger(), nullable=False),
    sa.Column('reason', sa.String(length=200), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('merged_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('details', postgresql.JSONB(astext_type=Text()), nullable=False),
    sa.Column('undone_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('undone_by', sa.String(length=120), nullable=True),
    sa.Column('undone_reason', sa.String(length=200), nullable=False),
    sa.CheckConstraint('(undone_at IS NULL) = (undone_by IS NULL)', name=op.f('ck_person_merges_undoing_told')),
    sa.CheckConstraint('kept_id <> merged_id', name=op.f('ck_person_merges_two_persons')),
    sa.ForeignKeyConstraint(['kept_id'], ['persons.id'], name=op.f('fk_person_merges_kept_id_persons')),
    sa.ForeignKeyConstraint(['merged_id'], ['persons.id'], name=op.f('fk_person_merges_merged_id_persons')),
    sa.ForeignKeyConstraint(['organisation_id'], ['organisations.id'], name=op.f('fk_person_merges_organisation_id_organisations')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_person_merges')),
    sa.UniqueConstraint('public_id', name=op.f('uq_person_merges_public_id'))
    )
    op.create_index(op.f('ix_person_merges_kept_id'), 'person_merges', ['kept_id'], unique=False)
    op.create_index(op.f('ix_person_merges_merged_id'), 'person_merges', ['merged_id'], unique=False)
    op.create_index('uq_person_merges_merged', 'person_merges', ['merged_id'], unique=True, postgresql_where=sa.text('undone_at IS NULL'))
    op.create_table('card_merges',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('card_id', sa.BigInteger(), nullable=False),
    sa.Column('into_id', sa.BigInteger(), nullable=False),
    sa.Column('account_id', sa.BigInteger(), nullable=False),
    sa.Column('transaction_id', sa.BigInteger(), nullable=True),
    sa.Column('brought', sa.BigInteger(), nullable=False),
    sa.Column('lots', postgresql.JSONB(astext_type=Text()), nullable=False),
    sa.Column('undoings', sa.Integer(), nullable=False),
    sa.Column('turnover', postgresql.JSONB(astext_type=Text()), nullable=False),
    sa.Column('tier', postgresql.JSONB(astext_type=Text()), nullable=True),
    sa.Column('into_tier', sa.String(length=40), nullable=True),
    sa.Column('verified', sa.Boolean(), nullable=False),
    sa.Column('aliases', postgresql.JSONB(astext_type=Text()), nullable=False),
    sa.Column('merged_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('undone_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('given_back', sa.BigInteger(), nullable=True),
    sa.Column('exact', sa.Boolean(), nullable=True),
    sa.CheckConstraint('(undone_at IS NULL) = (given_back IS NULL) AND (undone_at IS NULL) = (exact IS NULL)', name=op.f('ck_card_merges_undoing_told')),
    sa.CheckConstraint('card_id <> into_id', name=op.f('ck_card_merges_two_cards')),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_card_merges_account_id_accounts')),
    sa.ForeignKeyConstraint(['card_id'], ['cards.id'], name=op.f('fk_card_merges_card_id_cards')),
    sa.ForeignKeyConstraint(['into_id'], ['cards.id'], name=op.f('fk_card_merges_into_id_cards')),
    sa.ForeignKeyConstraint(['transaction_id'], ['ledger_transactions.id'], name=op.f('fk_card_merges_transaction_id_ledger_transactions')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_card_merges'))
    )
    op.create_index(op.f('ix_card_merges_into_id'), 'card_merges', ['into_id'], unique=False)
    op.create_index('uq_card_merges_card', 'card_merges', ['card_id'], unique=True, postgresql_where=sa.text('undone_at IS NULL'))
    op.add_column('cards', sa.Column('merged_into_id', sa.BigInteger(), nullable=True))
    op.create_index(op.f('ix_cards_merged_into_id'), 'cards', ['merged_into_id'], unique=False)
    op.create_foreign_key(op.f('fk_cards_merged_into_id_cards'), 'cards', 'cards', ['merged_into_id'], ['id'])
    op.add_column('consents', sa.Column('phone_hash', sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
