"""Changes of phones, by staff and by the people themselves"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('phone_changes',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('organisation_id', sa.BigInteger(), nullable=False),
    sa.Column('person_id', sa.BigInteger(), nullable=False),
    sa.Column('former', sa.String(length=16), nullable=True),
    sa.Column('phone', sa.String(length=16), nullable=False),
    sa.Column('proven', sa.Boolean(), nullable=False),
    sa.Column('told', sa.Boolean(), nullable=False),
    sa.Column('reason', sa.String(length=200), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('employee_id', sa.BigInteger(), nullable=True),
    sa.Column('changed_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['employee_id'], ['staff.id'], name=op.f('fk_phone_changes_employee_id_staff')),
    sa.ForeignKeyConstraint(['organisation_id'], ['organisations.id'], name=op.f('fk_phone_changes_organisation_id_organisations')),
    sa.ForeignKeyConstraint(['person_id'], ['persons.id'], name=op.f('fk_phone_changes_person_id_persons')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_phone_changes')),
    sa.UniqueConstraint('public_id', name=op.f('uq_phone_changes_public_id'))
    )
    op.create_index(op.f('ix_phone_changes_employee_id'), 'phone_changes', ['employee_id'], unique=False)
    op.create_index(op.f('ix_phone_changes_person_id'), 'phone_changes', ['person_id'], unique=False)


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
