"""Plastic numbers, imports, and turnover that came with them"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Which of the two names it has depended on what the migrating process had imported.
    for name in ("tier_cause", "ck_tier_changes_tier_cause"):
        op.drop_constraint(op.f(name), "tier_changes", type_="check", if_exists=True)
    op.create_check_constraint(
        op.f("ck_tier_changes_tier_cause"),
        "tier_changes",
        "cause IN ('purchase', 'rules', 'schedule', 'merge', 'import', 'leave')",
    )
    op.create_table('brought_turnover',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('account_id', sa.BigInteger(), nullable=False),
    sa.Column('organisation_id', sa.BigInteger(), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.CheckConstraint('amount > 0', name=op.f('ck_brought_turnover_amount_positive')),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_brought_turnover_account_id_accounts')),
    sa.ForeignKeyConstraint(['organisation_id'], ['organisations.id'], name=op.f('fk_brought_turnover_organisation_id_organisations')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_brought_turnover'))
    )
    op.create_index(op.f('ix_brought_turnover_account_id'), 'brought_turnover', ['account_id'], unique=False)
    op.create_table('imports',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('organisation_id', sa.BigInteger(), nullable=False),
    sa.Column('programme_id', sa.BigInteger(), nullable=False),
    sa.Column('file_name', sa.String(length=120), nullable=False),
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.Column('state', sa.Enum('checking', 'checked', 'running', 'done', 'undoing', 'undone', name='import_state', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('known_members', sa.Enum('add', 'skip', name='import_known_members', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('reason', sa.String(length=200), nullable=False),
    sa.Column('columns', postgresql.JSONB(), nullable=False),
    sa.Column('figures', postgresql.JSONB(), nullable=False),
    sa.Column('day', sa.Date(), nullable=True),
    sa.Column('job_id', sa.BigInteger(), nullable=True),
    sa.Column('actor', sa.String(length=80), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('checked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('run_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('undo_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['job_id'], ['bulk_jobs.id'], name=op.f('fk_imports_job_id_bulk_jobs')),
    sa.ForeignKeyConstraint(['organisation_id'], ['organisations.id'], name=op.f('fk_imports_organisation_id_organisations')),
    sa.ForeignKeyConstraint(['programme_id'], ['programmes.id'], name=op.f('fk_imports_programme_id_programmes')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_imports')),
    sa.UniqueConstraint('public_id', name=op.f('uq_imports_public_id'))
    )
    op.create_index(op.f('ix_imports_organisation_id'), 'imports', ['organisation_id'], unique=False)
    op.create_table('plastic_numbers',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('organisation_id', sa.BigInteger(), nullable=False),
    sa.Column('number', sa.String(length=40), nullable=False),
    sa.Column('card_id', sa.BigInteger(), nullable=False),
    sa.Column('claimed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('claimed_phone', sa.String(length=16), nullable=True),
    sa.Column('import_id', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['card_id'], ['cards.id'], name=op.f('fk_plastic_numbers_card_id_cards')),
    sa.ForeignKeyConstraint(['import_id'], ['imports.id'], name=op.f('fk_plastic_numbers_import_id_imports')),
    sa.ForeignKeyConstraint(['organisation_id'], ['organisations.id'], name=op.f('fk_plastic_numbers_organisation_id_organisations')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_plastic_numbers')),
    sa.UniqueConstraint('organisation_id', 'number', name=op.f('uq_plastic_numbers_organisation_id_number'))
    )
    op.create_index(op.f('ix_plastic_numbers_card_id'), 'plastic_numbers', ['card_id'], unique=False)
    op.create_table('import_rows',
    sa.Column('import_id', sa.BigInteger(), nullable=False),
    sa.Column('row', sa.BigInteger(), nullable=False),
    sa.Column('cells', postgresql.JSONB(), nullable=True),
    sa.Column('given', postgresql.JSONB(), nullable=True),
    sa.Column('outcome', sa.Enum('waiting', 'ready', 'bad', 'duplicate', 'known', 'created', 'joined', 'undone', 'kept', name='import_outcome', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('problems', postgresql.JSONB(), nullable=False),
    sa.Column('number', sa.String(length=40), nullable=True),
    sa.Column('phone', sa.String(length=16), nullable=True),
    sa.Column('name_key', sa.String(length=200), nullable=False),
    sa.Column('digest', sa.LargeBinary(), nullable=True),
    sa.Column('balance', sa.BigInteger(), nullable=False),
    sa.Column('turnover', sa.BigInteger(), nullable=False),
    sa.Column('tier_before', sa.String(length=40), nullable=True),
    sa.Column('tier_set', sa.Boolean(), nullable=False),
    sa.Column('person_id', sa.BigInteger(), nullable=True),
    sa.Column('person_new', sa.Boolean(), nullable=False),
    sa.Column('card_id', sa.BigInteger(), nullable=True),
    sa.Column('card_new', sa.Boolean(), nullable=False),
    sa.Column('plastic_id', sa.BigInteger(), nullable=True),
    sa.Column('transaction_id', sa.BigInteger(), nullable=True),
    sa.Column('reversal_id', sa.BigInteger(), nullable=True),
    sa.Column('brought_id', sa.BigInteger(), nullable=True),
    sa.Column('undo_job', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['card_id'], ['cards.id'], name=op.f('fk_import_rows_card_id_cards')),
    sa.ForeignKeyConstraint(['import_id'], ['imports.id'], name=op.f('fk_import_rows_import_id_imports'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['person_id'], ['persons.id'], name=op.f('fk_import_rows_person_id_persons')),
    sa.ForeignKeyConstraint(['reversal_id'], ['ledger_transactions.id'], name=op.f('fk_import_rows_reversal_id_ledger_transactions')),
    sa.ForeignKeyConstraint(['transaction_id'], ['ledger_transactions.id'], name=op.f('fk_import_rows_transaction_id_ledger_transactions')),
    sa.PrimaryKeyConstraint('import_id', 'row', name=op.f('pk_import_rows'))
    )
    op.create_index('ix_import_rows_card_id', 'import_rows', ['card_id'], unique=False, postgresql_where=sa.text('card_id IS NOT NULL'))
    op.create_index('ix_import_rows_number', 'import_rows', ['import_id', 'number'], unique=False, postgresql_where=sa.text('number IS NOT NULL'))
    op.create_index('ix_import_rows_phone', 'import_rows', ['import_id', 'phone'], unique=False, postgresql_where=sa.text('phone IS NOT NULL'))


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
