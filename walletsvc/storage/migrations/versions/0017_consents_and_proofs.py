"""Staff, consents and their texts, proofs of phones"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('consent_texts',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('organisation_id', sa.BigInteger(), nullable=False),
    sa.Column('purpose', sa.Enum('data', 'advertising', name='consent_purpose', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('title', postgresql.JSONB(astext_type=Text()), nullable=False),
    sa.Column('body', postgresql.JSONB(astext_type=Text()), nullable=False),
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('published_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('retired_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['organisation_id'], ['organisations.id'], name=op.f('fk_consent_texts_organisation_id_organisations')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_consent_texts')),
    sa.UniqueConstraint('organisation_id', 'purpose', 'version', name=op.f('uq_consent_texts_organisation_id_purpose_version')),
    sa.UniqueConstraint('public_id', name=op.f('uq_consent_texts_public_id'))
    )
    op.create_index('uq_consent_texts_published', 'consent_texts', ['organisation_id', 'purpose'], unique=True, postgresql_where=sa.text('retired_at IS NULL'))
    op.create_table('staff',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('organisation_id', sa.BigInteger(), nullable=False),
    sa.Column('name', sa.String(length=120), nullable=False),
    sa.Column('phone', sa.String(length=16), nullable=True),
    sa.Column('email', sa.String(length=254), nullable=True),
    sa.Column('language', sa.String(length=2), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['organisation_id'], ['organisations.id'], name=op.f('fk_staff_organisation_id_organisations')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_staff')),
    sa.UniqueConstraint('public_id', name=op.f('uq_staff_public_id'))
    )
    op.create_index(op.f('ix_staff_organisation_id'), 'staff', ['organisation_id'], unique=False)
    op.create_table('phone_proofs',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('organisation_id', sa.BigInteger(), nullable=False),
    sa.Column('programme_id', sa.BigInteger(), nullable=True),
    sa.Column('purpose', sa.Enum('join', 'log_in', 'till', 'claim', 'change_phone', 'spend', name='proof_purpose', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('route', sa.Enum('sms', 'call', 'messenger', name='proof_route', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('phone', sa.String(length=16), nullable=False),
    sa.Column('subject', sa.String(length=80), nullable=False),
    sa.Column('code_hash', sa.LargeBinary(), nullable=True),
    sa.Column('reference', sa.String(length=120), nullable=False),
    sa.Column('tries', sa.Integer(), nullable=False),
    sa.Column('sends', sa.Integer(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('proven_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('tries >= 0', name=op.f('ck_phone_proofs_tries_counted')),
    sa.CheckConstraint('used_at IS NULL OR proven_at IS NOT NULL', name=op.f('ck_phone_proofs_proven_before_use')),
    sa.ForeignKeyConstraint(['organisation_id'], ['organisations.id'], name=op.f('fk_phone_proofs_organisation_id_organisations')),
    sa.ForeignKeyConstraint(['programme_id'], ['programmes.id'], name=op.f('fk_phone_proofs_programme_id_programmes')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_phone_proofs')),
    sa.UniqueConstraint('public_id', name=op.f('uq_phone_proofs_public_id'))
    )
    op.create_index(op.f('ix_phone_proofs_created_at'), 'phone_proofs', ['created_at'], unique=False)
    op.create_index('ix_phone_proofs_phone_created', 'phone_proofs', ['phone', 'created_at'], unique=False)
    op.create_index(op.f('ix_phone_proofs_programme_id'), 'phone_proofs', ['programme_id'], unique=False)
    op.create_table('consents',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('person_id', sa.BigInteger(), nullable=False),
    sa.Column('text_id', sa.BigInteger(), nullable=False),
    sa.Column('purpose', sa.Enum('data', 'advertising', name='consents_purpose', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('channel', sa.Enum('sms', 'email', 'wallet', 'messenger', 'call', name='consents_channel', native_enum=False, create_constraint=True, length=32), nullable=True),
    sa.Column('way', sa.Enum('form', 'till', 'bot', 'crm', 'import', 'page', 'staff', 'sms', name='consents_way', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('language', sa.String(length=2), nullable=False),
    sa.Column('phone', sa.String(length=16), nullable=True),
    sa.Column('proof_id', sa.BigInteger(), nullable=True),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('given_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('withdrawn_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('withdrawn_way', sa.Enum('form', 'till', 'bot', 'crm', 'import', 'page', 'staff', 'sms', name='consents_withdrawn_way', native_enum=False, create_constraint=True, length=32), nullable=True),
    sa.Column('withdrawn_actor', sa.String(length=120), nullable=True),
    sa.CheckConstraint("(purpose = 'advertising') = (channel IS NOT NULL)", name=op.f('ck_consents_channel_told')),
    sa.CheckConstraint('(withdrawn_at IS NULL) = (withdrawn_way IS NULL)', name=op.f('ck_consents_withdrawal_told')),
    sa.ForeignKeyConstraint(['person_id'], ['persons.id'], name=op.f('fk_consents_person_id_persons')),
    sa.ForeignKeyConstraint(['proof_id'], ['phone_proofs.id'], name=op.f('fk_consents_proof_id_phone_proofs')),
    sa.ForeignKeyConstraint(['text_id'], ['consent_texts.id'], name=op.f('fk_consents_text_id_consent_texts')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_consents')),
    sa.UniqueConstraint('public_id', name=op.f('uq_consents_public_id'))
    )
    op.create_index(op.f('ix_consents_person_id'), 'consents', ['person_id'], unique=False)
    op.create_index(op.f('ix_consents_proof_id'), 'consents', ['proof_id'], unique=False)
    op.create_index(op.f('ix_consents_text_id'), 'consents', ['text_id'], unique=False)
    op.create_index('uq_consents_standing', 'consents', ['person_id', 'purpose', 'channel'], unique=True, postgresql_nulls_not_distinct=True, postgresql_where=sa.text('withdrawn_at IS NULL'))
    op.add_column('branches', sa.Column('responsible_id', sa.BigInteger(), nullable=True))
    op.create_index(op.f('ix_branches_responsible_id'), 'branches', ['responsible_id'], unique=False)
    op.create_foreign_key(op.f('fk_branches_responsible_id_staff'), 'branches', 'staff', ['responsible_id'], ['id'])
    op.add_column('persons', sa.Column('email', sa.String(length=254), nullable=True))
    op.add_column('persons', sa.Column('responsible_id', sa.BigInteger(), nullable=True))
    op.add_column('persons', sa.Column('merged_into_id', sa.BigInteger(), nullable=True))
    op.add_column('persons', sa.Column('erased_at', sa.DateTime(timezone=True), nullable=True))
    op.create_index(op.f('ix_persons_merged_into_id'), 'persons', ['merged_into_id'], unique=False)
    op.create_index(op.f('ix_persons_responsible_id'), 'persons', ['responsible_id'], unique=False)
    op.create_foreign_key(op.f('fk_persons_merged_into_id_persons'), 'persons', 'persons', ['merged_into_id'], ['id'])
    op.create_foreign_key(op.f('fk_persons_responsible_id_staff'), 'persons', 'staff', ['responsible_id'], ['id'])


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
