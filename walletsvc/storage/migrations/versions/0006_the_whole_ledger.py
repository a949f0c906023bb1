"""The whole ledger: holds, groups, acceptance between organisations, limits"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CHECKS = (
    ("accounts", "counterparty_only_between_organisations", "(counterparty_id IS NOT NULL) <= (kind = 'system' AND code = 'inter-organisation')"),
    ("accounts", "merged_is_empty", "merged_into_id IS NULL OR (closed_at IS NOT NULL AND balance = 0 AND held = 0)"),
    ("holds", "expires_after_created", "expires_at > created_at"),
    ("holds", "state_told", "(state = 'active') = (closed_at IS NULL) AND (state = 'captured') = (transaction_id IS NOT NULL)"),
)
TRANSACTION_TYPES = ("credit", "debit", "reversal", "accrual", "maturity", "expiry", "capture", "transfer", "merge", "settlement")

# What a lot came with stays; it may change hands, mature, be held and be used up.
LOTS_GUARD = """
CREATE FUNCTION ledger_refuse_lot_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what a lot came with is never changed: post a reversal'
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER refuse_edit BEFORE DELETE OR UPDATE OF
    id, transaction_id, origin_id, original, source, promotional,
    earned_at, available_from, expires_at ON lots
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_lot_edit();
"""


def upgrade() -> None:
    op.create_table('ledger_verifications',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('asked_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('entries', sa.BigInteger(), nullable=False),
    sa.Column('found', sa.BigInteger(), nullable=False),
    sa.Column('differences', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_ledger_verifications')),
    sa.UniqueConstraint('public_id', name=op.f('uq_ledger_verifications_public_id'))
    )
    op.create_table('limit_counters',
    sa.Column('name', sa.String(length=40), nullable=False),
    sa.Column('subject', sa.String(length=120), nullable=False),
    sa.Column('window_start', sa.DateTime(timezone=True), nullable=False),
    sa.Column('tries', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('name', 'subject', 'window_start', name=op.f('pk_limit_counters'))
    )
    op.create_table('acceptances',
    sa.Column('issuer_id', sa.BigInteger(), nullable=False),
    sa.Column('acceptor_id', sa.BigInteger(), nullable=False),
    sa.Column('points', sa.Boolean(), nullable=False),
    sa.Column('certificates', sa.Boolean(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('issuer_id <> acceptor_id', name=op.f('ck_acceptances_between_two')),
    sa.CheckConstraint('points OR certificates', name=op.f('ck_acceptances_accepts_something')),
    sa.ForeignKeyConstraint(['acceptor_id'], ['organisations.id'], name=op.f('fk_acceptances_acceptor_id_organisations')),
    sa.ForeignKeyConstraint(['issuer_id'], ['organisations.id'], name=op.f('fk_acceptances_issuer_id_organisations')),
    sa.PrimaryKeyConstraint('issuer_id', 'acceptor_id', name=op.f('pk_acceptances'))
    )
    op.create_index(op.f('ix_acceptances_acceptor_id'), 'acceptances', ['acceptor_id'], unique=False)
    op.create_table('card_groups',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('programme_id', sa.BigInteger(), nullable=False),
    sa.Column('account_id', sa.BigInteger(), nullable=False),
    sa.Column('name', sa.String(length=80), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.id'], name=op.f('fk_card_groups_account_id_accounts')),
    sa.ForeignKeyConstraint(['programme_id'], ['programmes.id'], name=op.f('fk_card_groups_programme_id_programmes')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_card_groups')),
    sa.UniqueConstraint('public_id', name=op.f('uq_card_groups_public_id'))
    )
    op.create_index('uq_card_groups_account', 'card_groups', ['account_id'], unique=True, postgresql_where=sa.text('closed_at IS NULL'))
    op.create_index(op.f('ix_card_groups_programme_id'), 'card_groups', ['programme_id'], unique=False)
    op.create_table('certificate_batch_rows',
    sa.Column('job_id', sa.BigInteger(), nullable=False),
    sa.Column('row', sa.BigInteger(), nullable=False),
    sa.Column('face_value', sa.BigInteger(), nullable=False),
    sa.Column('recipient_name', sa.String(length=120), nullable=False),
    sa.Column('language', sa.String(length=2), nullable=False),
    sa.Column('certificate_id', sa.BigInteger(), nullable=True),
    sa.CheckConstraint('face_value > 0', name=op.f('ck_certificate_batch_rows_face_value_positive')),
    sa.ForeignKeyConstraint(['certificate_id'], ['certificates.id'], name=op.f('fk_certificate_batch_rows_certificate_id_certificates')),
    sa.ForeignKeyConstraint(['job_id'], ['bulk_jobs.id'], name=op.f('fk_certificate_batch_rows_job_id_bulk_jobs'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('job_id', 'row', name=op.f('pk_certificate_batch_rows'))
    )
    op.create_table('certificate_events',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('certificate_id', sa.BigInteger(), nullable=False),
    sa.Column('kind', sa.Enum('blocked', 'unblocked', 'expired', 'paid_out', 'transferred', 'payout_undone', 'cancelled', name='certificate_event_kind', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('reason', sa.String(length=200), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['certificate_id'], ['certificates.id'], name=op.f('fk_certificate_events_certificate_id_certificates')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_certificate_events'))
    )
    op.create_index(op.f('ix_certificate_events_certificate_id'), 'certificate_events', ['certificate_id'], unique=False)
    op.create_table('group_invitations',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('card_id', sa.BigInteger(), nullable=False),
    sa.Column('code_hash', sa.LargeBinary(), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('used_by_card_id', sa.BigInteger(), nullable=True),
    sa.CheckConstraint('expires_at > created_at', name=op.f('ck_group_invitations_expires_after_created')),
    sa.ForeignKeyConstraint(['card_id'], ['cards.id'], name=op.f('fk_group_invitations_card_id_cards')),
    sa.ForeignKeyConstraint(['used_by_card_id'], ['cards.id'], name=op.f('fk_group_invitations_used_by_card_id_cards')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_group_invitations')),
    sa.UniqueConstraint('code_hash', name=op.f('uq_group_invitations_code_hash'))
    )
    op.create_index(op.f('ix_group_invitations_card_id'), 'group_invitations', ['card_id'], unique=False)
    op.create_table('group_members',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('group_id', sa.BigInteger(), nullable=False),
    sa.Column('card_id', sa.BigInteger(), nullable=False),
    sa.Column('proof', sa.Enum('founder', 'invitation', 'staff', name='join_proof', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('reason', sa.String(length=200), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('brought', sa.BigInteger(), nullable=False),
    sa.Column('joined_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('left_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('left_with', sa.BigInteger(), nullable=True),
    sa.Column('left_by', sa.String(length=120), nullable=True),
    sa.CheckConstraint('(left_at IS NULL) = (left_with IS NULL) AND (left_at IS NULL OR left_at >= joined_at)', name=op.f('ck_group_members_leaving_told')),
    sa.ForeignKeyConstraint(['card_id'], ['cards.id'], name=op.f('fk_group_members_card_id_cards')),
    sa.ForeignKeyConstraint(['group_id'], ['card_groups.id'], name=op.f('fk_group_members_group_id_card_groups')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_group_members'))
    )
    op.create_index(op.f('ix_group_members_card_id'), 'group_members', ['card_id'], unique=False)
    op.create_index(op.f('ix_group_members_group_id'), 'group_members', ['group_id'], unique=False)
    op.create_index('uq_group_members_card', 'group_members', ['card_id'], unique=True, postgresql_where=sa.text('left_at IS NULL'))
    op.add_column('accounts', sa.Column('counterparty_id', sa.BigInteger(), nullable=True))
    op.add_column('accounts', sa.Column('merged_into_id', sa.BigInteger(), nullable=True))
    op.drop_index(op.f('uq_accounts_system'), table_name='accounts', postgresql_where="((kind)::text = 'system'::text)")
    op.create_index('uq_accounts_system', 'accounts', ['organisation_id', 'unit_id', 'code', sa.literal_column('coalesce(counterparty_id, 0)')], unique=True, postgresql_where=sa.text("kind = 'system'"))
    op.create_foreign_key(op.f('fk_accounts_merged_into_id_accounts'), 'accounts', 'accounts', ['merged_into_id'], ['id'])
    op.create_foreign_key(op.f('fk_accounts_counterparty_id_organisations'), 'accounts', 'organisations', ['counterparty_id'], ['id'])
    op.add_column('cards', sa.Column('group_id', sa.BigInteger(), nullable=True))
    op.create_index(op.f('ix_cards_group_id'), 'cards', ['group_id'], unique=False)
    op.create_foreign_key(op.f('fk_cards_group_id_card_groups'), 'cards', 'card_groups', ['group_id'], ['id'])
    op.add_column('certificates', sa.Column('origin', sa.Enum('paid', 'free', name='certificate_origin', native_enum=False, create_constraint=True, length=32), nullable=False, server_default='paid'))
    op.alter_column('certificates', 'origin', server_default=None)
    op.add_column('certificates', sa.Column('expired_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('certificates', sa.Column('block_reason', sa.String(length=200), nullable=False, server_default=''))
    op.alter_column('certificates', 'block_reason', server_default=None)
    op.add_column('certificates', sa.Column('transferred_from_id', sa.BigInteger(), nullable=True))
    op.create_index(op.f('ix_certificates_transferred_from_id'), 'certificates', ['transferred_from_id'], unique=False)
    op.create_foreign_key(op.f('fk_certificates_transferred_from_id_certificates'), 'certificates', 'certificates', ['transferred_from_id'], ['id'])
    op.add_column('holds', sa.Column('acceptor_id', sa.BigInteger(), nullable=False))
    op.add_column('holds', sa.Column('branch_id', sa.BigInteger(), nullable=True))
    op.add_column('holds', sa.Column('card_id', sa.BigInteger(), nullable=True))
    op.add_column('holds', sa.Column('transaction_id', sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f('fk_holds_acceptor_id_organisations'), 'holds', 'organisations', ['acceptor_id'], ['id'])
    op.create_foreign_key(op.f('fk_holds_card_id_cards'), 'holds', 'cards', ['card_id'], ['id'])
    op.create_foreign_key(op.f('fk_holds_transaction_id_ledger_transactions'), 'holds', 'ledger_transactions', ['transaction_id'], ['id'])
    op.create_foreign_key(op.f('fk_holds_branch_id_branches'), 'holds', 'branches', ['branch_id'], ['id'])
    op.add_column('ledger_transactions', sa.Column('card_id', sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f('fk_ledger_transactions_card_id_cards'), 'ledger_transactions', 'cards', ['card_id'], ['id'])
    op.add_column('lots', sa.Column('origin_id', sa.BigInteger(), nullable=True))
    op.create_index('ix_lots_expiring', 'lots', ['expires_at'], unique=False, postgresql_where=sa.text('remaining > 0 AND expires_at IS NOT NULL'))
    op.create_index('ix_lots_maturing', 'lots', ['available_from'], unique=False, postgresql_where=sa.text('matured_id IS NULL AND remaining > 0'))
    op.create_index('ix_lots_used_up', 'lots', ['account_id'], unique=False, postgresql_where=sa.text('remaining = 0'))
    op.create_foreign_key(op.f('fk_lots_origin_id_lots'), 'lots', 'lots', ['origin_id'], ['id'])
    for table, name, condition in CHECKS:
        op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)
    # Its name depends on what had been imported when the first migration ran.
    for name in ("transaction_type", "ck_ledger_transactions_transaction_type"):
        op.execute(f"ALTER TABLE ledger_transactions DROP CONSTRAINT IF EXISTS {name}")
    kinds = ", ".join(f"'{kind}'" for kind in TRANSACTION_TYPES)
    op.execute(f"ALTER TABLE ledger_transactions ADD CONSTRAINT ck_ledger_transactions_transaction_type CHECK (type IN ({kinds}))")

    op.get_bind().exec_driver_sql(LOTS_GUARD)


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
