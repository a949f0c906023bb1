"""Changes of phones, by staff and by the people themselves; where imported cards came from, and
hashes of phones that were welcomed and erased"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

# Cards of the imports so far, as far as they were not undone.
IMPORTED = """
INSERT INTO card_registrations (card_id, way, actor, welcome_due, created_at)
SELECT DISTINCT ON (r.card_id) r.card_id, 'import', i.actor, false, i.run_at
  FROM import_rows r JOIN imports i ON i.id = r.import_id
 WHERE r.card_new AND r.outcome IN ('created', 'kept') AND i.run_at IS NOT NULL
 ORDER BY r.card_id, i.id
ON CONFLICT (card_id) DO NOTHING
"""


def upgrade() -> None:
    # First, for it may take a while: from the tables' foreign keys on, until all is committed,
    # nobody else writes to persons, staff, programmes and organisations.
    op.execute(IMPORTED)
    op.create_table('phone_changes',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('organisation_id', sa.BigInteger(), nullable=False),
    sa.Column('person_id', sa.BigInteger(), nullable=False),
    sa.Column('former', sa.String(length=16), nullable=True),
    sa.Column('phone', sa.String(length=16), nullable=False),
    sa.Column('mistyped', sa.Boolean(), nullable=False),
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
    op.create_index(op.f('ix_phone_changes_former'), 'phone_changes', ['former'], unique=False)
    op.create_table('welcomed_phones',
    sa.Column('programme_id', sa.BigInteger(), nullable=False),
    sa.Column('phone_hash', sa.LargeBinary(), nullable=False),
    sa.Column('erased_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['programme_id'], ['programmes.id'], name=op.f('fk_welcomed_phones_programme_id_programmes')),
    sa.PrimaryKeyConstraint('programme_id', 'phone_hash', name=op.f('pk_welcomed_phones'))
    )
    op.create_index(op.f('ix_welcomed_phones_erased_at'), 'welcomed_phones', ['erased_at'], unique=False)


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
