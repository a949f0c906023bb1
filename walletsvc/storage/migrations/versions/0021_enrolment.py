"""How programmes take people in: settings, sources, applications; verified cards; search by name"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('enrolment_settings',
    sa.Column('programme_id', sa.BigInteger(), nullable=False),
    sa.Column('open', sa.Boolean(), nullable=False),
    sa.Column('unproven', sa.Boolean(), nullable=False),
    sa.Column('card_link', sa.Boolean(), nullable=False),
    sa.Column('fields', postgresql.JSONB(astext_type=Text()), nullable=False),
    sa.Column('routes', postgresql.JSONB(astext_type=Text()), nullable=False),
    sa.Column('till_text', postgresql.JSONB(astext_type=Text()), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['programme_id'], ['programmes.id'], name=op.f('fk_enrolment_settings_programme_id_programmes')),
    sa.PrimaryKeyConstraint('programme_id', name=op.f('pk_enrolment_settings'))
    )
    op.create_table('join_sources',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('programme_id', sa.BigInteger(), nullable=False),
    sa.Column('code', sa.String(length=12), nullable=False),
    sa.Column('branch_id', sa.BigInteger(), nullable=True),
    sa.Column('campaign', sa.String(length=80), nullable=False),
    sa.Column('label', sa.String(length=120), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['branch_id'], ['branches.id'], name=op.f('fk_join_sources_branch_id_branches')),
    sa.ForeignKeyConstraint(['programme_id'], ['programmes.id'], name=op.f('fk_join_sources_programme_id_programmes')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_join_sources')),
    sa.UniqueConstraint('code', name=op.f('uq_join_sources_code')),
    sa.UniqueConstraint('public_id', name=op.f('uq_join_sources_public_id'))
    )
    op.create_index(op.f('ix_join_sources_branch_id'), 'join_sources', ['branch_id'], unique=False)
    op.create_index(op.f('ix_join_sources_programme_id'), 'join_sources', ['programme_id'], unique=False)
    op.create_table('applications',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('nonce', sa.String(length=64), nullable=False),
    sa.Column('programme_id', sa.BigInteger(), nullable=False),
    sa.Column('source_id', sa.BigInteger(), nullable=True),
    sa.Column('form', sa.Text(), nullable=False),
    sa.Column('phone', sa.String(length=16), nullable=False),
    sa.Column('proof', sa.String(length=20), nullable=True),
    sa.Column('proven_with', sa.String(length=64), nullable=True),
    sa.Column('plastic_refused', sa.Boolean(), nullable=False),
    sa.Column('state', sa.Enum('waiting', 'done', 'given_up', name='application_state', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('card_id', sa.BigInteger(), nullable=True),
    sa.Column('way', sa.Enum('form', 'till', 'bot', 'crm', 'import', 'page', 'staff', 'sms', name='application_way', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('language', sa.String(length=2), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('proven_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('completed_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("(state = 'done') = (card_id IS NOT NULL) AND (state = 'waiting') = (completed_at IS NULL)", name=op.f('ck_applications_state_told')),
    sa.ForeignKeyConstraint(['card_id'], ['cards.id'], name=op.f('fk_applications_card_id_cards')),
    sa.ForeignKeyConstraint(['programme_id'], ['programmes.id'], name=op.f('fk_applications_programme_id_programmes')),
    sa.ForeignKeyConstraint(['source_id'], ['join_sources.id'], name=op.f('fk_applications_source_id_join_sources')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_applications')),
    sa.UniqueConstraint('nonce', name=op.f('uq_applications_nonce')),
    sa.UniqueConstraint('public_id', name=op.f('uq_applications_public_id'))
    )
    op.create_index(op.f('ix_applications_card_id'), 'applications', ['card_id'], unique=False)
    op.create_index(op.f('ix_applications_programme_id'), 'applications', ['programme_id'], unique=False)
    op.create_index(op.f('ix_applications_source_id'), 'applications', ['source_id'], unique=False)
    op.create_index('ix_applications_waiting', 'applications', ['expires_at'], unique=False, postgresql_where=sa.text("state = 'waiting'"))
    op.create_table('card_registrations',
    sa.Column('card_id', sa.BigInteger(), nullable=False),
    sa.Column('source_id', sa.BigInteger(), nullable=True),
    sa.Column('branch_id', sa.BigInteger(), nullable=True),
    sa.Column('way', sa.Enum('form', 'till', 'bot', 'crm', 'import', 'page', 'staff', 'sms', name='card_registration_way', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('welcome_due', sa.Boolean(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['branch_id'], ['branches.id'], name=op.f('fk_card_registrations_branch_id_branches')),
    sa.ForeignKeyConstraint(['card_id'], ['cards.id'], name=op.f('fk_card_registrations_card_id_cards')),
    sa.ForeignKeyConstraint(['source_id'], ['join_sources.id'], name=op.f('fk_card_registrations_source_id_join_sources')),
    sa.PrimaryKeyConstraint('card_id', name=op.f('pk_card_registrations'))
    )
    op.create_index(op.f('ix_card_registrations_branch_id'), 'card_registrations', ['branch_id'], unique=False)
    op.create_index(op.f('ix_card_registrations_created_at'), 'card_registrations', ['created_at'], unique=False)
    op.create_index(op.f('ix_card_registrations_source_id'), 'card_registrations', ['source_id'], unique=False)
    op.add_column('cards', sa.Column('verified_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('persons', sa.Column('name_key', sa.Text(), sa.Computed("replace(lower(btrim((last_name || ' ') || first_name)), 'ё', 'е')", persisted=True), nullable=True))
    op.create_index('ix_persons_name', 'persons', ['organisation_id', 'name_key'], unique=False, postgresql_ops={'name_key': 'text_pattern_ops'})
    op.add_column('programmes', sa.Column('verified_only', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.alter_column('programmes', 'verified_only', server_default=None)
    # Which of the two names it has depended on what the migrating process had imported.
    for name in ("join_proof", "ck_group_members_join_proof"):
        op.drop_constraint(op.f(name), "group_members", type_="check", if_exists=True)
    op.create_check_constraint(
        op.f("ck_group_members_join_proof"),
        "group_members",
        "proof IN ('founder', 'invitation', 'phone', 'staff')",
    )


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
