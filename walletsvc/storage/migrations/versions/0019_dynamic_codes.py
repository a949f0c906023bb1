"""Codes of the moment: secrets of cards, rolling codes, presentations"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('card_secrets',
    sa.Column('card_id', sa.BigInteger(), nullable=False),
    sa.Column('secret', sa.Text(), nullable=False),
    sa.Column('last_step', sa.BigInteger(), nullable=True),
    sa.Column('wrong_tries', sa.Integer(), nullable=False),
    sa.Column('wrong_since', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('wrong_tries >= 0', name=op.f('ck_card_secrets_wrong_tries_counted')),
    sa.ForeignKeyConstraint(['card_id'], ['cards.id'], name=op.f('fk_card_secrets_card_id_cards')),
    sa.PrimaryKeyConstraint('card_id', name=op.f('pk_card_secrets'))
    )
    op.create_table('rolling_codes',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('card_id', sa.BigInteger(), nullable=False),
    sa.Column('code', sa.String(length=12), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('taken_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('retired_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('retired_at IS NULL OR taken_at IS NOT NULL', name=op.f('ck_rolling_codes_taken_first')),
    sa.ForeignKeyConstraint(['card_id'], ['cards.id'], name=op.f('fk_rolling_codes_card_id_cards')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_rolling_codes')),
    sa.UniqueConstraint('card_id', 'code', name=op.f('uq_rolling_codes_card_id_code'))
    )
    op.create_index('ix_rolling_codes_taken_at', 'rolling_codes', ['taken_at'], unique=False)
    op.create_index('uq_rolling_codes_shown', 'rolling_codes', ['card_id'], unique=True, postgresql_where=sa.text('taken_at IS NULL'))
    op.create_table('presentations',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('card_id', sa.BigInteger(), nullable=False),
    sa.Column('organisation_id', sa.BigInteger(), nullable=False),
    sa.Column('branch_id', sa.BigInteger(), nullable=True),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('how', sa.Enum('rolling', 'time_based', name='presentation_how', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('step', sa.BigInteger(), nullable=True),
    sa.Column('rolling_code_id', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('used_for', sa.String(length=60), nullable=False),
    sa.CheckConstraint("(how = 'rolling') = (rolling_code_id IS NOT NULL) AND (how = 'time_based') = (step IS NOT NULL)", name=op.f('ck_presentations_code_told')),
    sa.ForeignKeyConstraint(['branch_id'], ['branches.id'], name=op.f('fk_presentations_branch_id_branches')),
    sa.ForeignKeyConstraint(['card_id'], ['cards.id'], name=op.f('fk_presentations_card_id_cards')),
    sa.ForeignKeyConstraint(['organisation_id'], ['organisations.id'], name=op.f('fk_presentations_organisation_id_organisations')),
    sa.ForeignKeyConstraint(['rolling_code_id'], ['rolling_codes.id'], name=op.f('fk_presentations_rolling_code_id_rolling_codes')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_presentations')),
    sa.UniqueConstraint('public_id', name=op.f('uq_presentations_public_id'))
    )
    op.create_index('ix_presentations_card_id_step', 'presentations', ['card_id', 'step'], unique=False)
    op.create_index('ix_presentations_created_at', 'presentations', ['created_at'], unique=False)
    op.create_index(op.f('ix_presentations_rolling_code_id'), 'presentations', ['rolling_code_id'], unique=False)
    op.add_column(
        "programmes",
        sa.Column(
            "code_policy",
            sa.Enum("static", "rolling", "time_based", name="code_policy", native_enum=False, create_constraint=True, length=32),
            nullable=False,
            server_default="static",
        ),
    )
    op.alter_column("programmes", "code_policy", server_default=None)


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
