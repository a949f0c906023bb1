"""Log-ins of customers, and the certificates they keep with their cards"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('customer_sessions',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('token_hash', sa.LargeBinary(), nullable=False),
    sa.Column('person_id', sa.BigInteger(), nullable=False),
    sa.Column('organisation_id', sa.BigInteger(), nullable=False),
    sa.Column('phone', sa.String(length=16), nullable=False),
    sa.Column('proof_id', sa.BigInteger(), nullable=True),
    sa.Column('device', sa.String(length=60), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['organisation_id'], ['organisations.id'], name=op.f('fk_customer_sessions_organisation_id_organisations')),
    sa.ForeignKeyConstraint(['person_id'], ['persons.id'], name=op.f('fk_customer_sessions_person_id_persons')),
    sa.ForeignKeyConstraint(['proof_id'], ['phone_proofs.id'], name=op.f('fk_customer_sessions_proof_id_phone_proofs'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_customer_sessions')),
    sa.UniqueConstraint('public_id', name=op.f('uq_customer_sessions_public_id')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_customer_sessions_token_hash'))
    )
    op.create_index(op.f('ix_customer_sessions_expires_at'), 'customer_sessions', ['expires_at'], unique=False)
    op.create_index(op.f('ix_customer_sessions_person_id'), 'customer_sessions', ['person_id'], unique=False)
    op.create_index(op.f('ix_customer_sessions_proof_id'), 'customer_sessions', ['proof_id'], unique=False)
    op.create_table('kept_certificates',
    sa.Column('person_id', sa.BigInteger(), nullable=False),
    sa.Column('certificate_id', sa.BigInteger(), nullable=False),
    sa.Column('added_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['certificate_id'], ['certificates.id'], name=op.f('fk_kept_certificates_certificate_id_certificates')),
    sa.ForeignKeyConstraint(['person_id'], ['persons.id'], name=op.f('fk_kept_certificates_person_id_persons')),
    sa.PrimaryKeyConstraint('person_id', 'certificate_id', name=op.f('pk_kept_certificates'))
    )
    op.create_index(op.f('ix_kept_certificates_certificate_id'), 'kept_certificates', ['certificate_id'], unique=False)


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
