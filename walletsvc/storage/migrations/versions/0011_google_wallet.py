"""Google Wallet: issuers, classes, objects, messages, notifications; the inbox of webhooks"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "pass_types",
        sa.Column(
            "wallet",
            sa.Enum("apple", "google", name="pass_type_wallet", native_enum=False, create_constraint=True, length=32),
            nullable=False,
            server_default="apple",
        ),
    )
    op.alter_column("pass_types", "wallet", server_default=None)
    _choices("passes", "wallet", "wallet", ("apple", "google"))
    _choices(
        "pass_events",
        "event_kind",
        "kind",
        (
            "published", "pushed", "asked", "fetched", "unchanged", "registered", "unregistered", "device-lost",
            "sent", "saved", "removed",
        ),
    )
    op.create_table('inbox',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('source', sa.String(length=40), nullable=False),
    sa.Column('external_id', sa.String(length=200), nullable=False),
    sa.Column('body', postgresql.JSONB(astext_type=Text()), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('processed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('remark', sa.String(length=500), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_inbox')),
    sa.UniqueConstraint('source', 'external_id', name=op.f('uq_inbox_source_external_id'))
    )
    op.create_index(op.f('ix_inbox_received_at'), 'inbox', ['received_at'], unique=False)
    op.create_index('ix_inbox_waiting', 'inbox', ['source', 'id'], unique=False, postgresql_where=sa.text('processed_at IS NULL'))
    op.create_table('google_issuers',
    sa.Column('pass_type_id', sa.BigInteger(), nullable=False),
    sa.Column('free_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('state', sa.Enum('open', 'stopped', 'paused', name='google_issuer_state', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('reason', sa.String(length=500), nullable=False),
    sa.Column('failures', sa.Integer(), nullable=False),
    sa.Column('since', sa.DateTime(timezone=True), nullable=False),
    sa.Column('retry_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['pass_type_id'], ['pass_types.id'], name=op.f('fk_google_issuers_pass_type_id_pass_types')),
    sa.PrimaryKeyConstraint('pass_type_id', name=op.f('pk_google_issuers'))
    )
    op.create_table('google_classes',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('template_id', sa.BigInteger(), nullable=False),
    sa.Column('pass_type_id', sa.BigInteger(), nullable=False),
    sa.Column('kind', sa.Enum('loyalty', 'giftCard', name='google_class_kind', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('class_id', sa.String(length=100), nullable=False),
    sa.Column('version_id', sa.BigInteger(), nullable=True),
    sa.Column('digest', sa.LargeBinary(), nullable=True),
    sa.Column('review_status', sa.String(length=40), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('error', sa.String(length=500), nullable=False),
    sa.Column('synced_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['pass_type_id'], ['pass_types.id'], name=op.f('fk_google_classes_pass_type_id_pass_types')),
    sa.ForeignKeyConstraint(['template_id'], ['pass_templates.id'], name=op.f('fk_google_classes_template_id_pass_templates')),
    sa.ForeignKeyConstraint(['version_id'], ['template_versions.id'], name=op.f('fk_google_classes_version_id_template_versions')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_google_classes')),
    sa.UniqueConstraint('class_id', name=op.f('uq_google_classes_class_id')),
    sa.UniqueConstraint('template_id', 'pass_type_id', name=op.f('uq_google_classes_template_id_pass_type_id'))
    )
    op.create_table('google_objects',
    sa.Column('pass_id', sa.BigInteger(), nullable=False),
    sa.Column('google_class_id', sa.BigInteger(), nullable=False),
    sa.Column('object_id', sa.String(length=140), nullable=False),
    sa.Column('inserted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('has_users', sa.Boolean(), nullable=False),
    sa.Column('saved_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('removed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('heard_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('sent_revision', sa.Integer(), nullable=False),
    sa.Column('sent_values', postgresql.JSONB(astext_type=Text()), nullable=False),
    sa.Column('messages', sa.Integer(), nullable=False),
    sa.Column('lane', sa.SmallInteger(), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('attempt', postgresql.JSONB(astext_type=Text()), nullable=True),
    sa.Column('error', sa.String(length=500), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['google_class_id'], ['google_classes.id'], name=op.f('fk_google_objects_google_class_id_google_classes')),
    sa.ForeignKeyConstraint(['pass_id'], ['passes.id'], name=op.f('fk_google_objects_pass_id_passes')),
    sa.PrimaryKeyConstraint('pass_id', name=op.f('pk_google_objects')),
    sa.UniqueConstraint('object_id', name=op.f('uq_google_objects_object_id')),
    postgresql_with={'fillfactor': 60}
    )
    op.create_index('ix_google_objects_due', 'google_objects', ['lane', 'due_at'], unique=False, postgresql_where=sa.text('due_at IS NOT NULL'))
    op.create_index(op.f('ix_google_objects_google_class_id'), 'google_objects', ['google_class_id'], unique=False)
    op.create_table('google_buzzes',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('pass_id', sa.BigInteger(), nullable=True),
    sa.Column('google_class_id', sa.BigInteger(), nullable=True),
    sa.Column('kind', sa.Enum('update', 'message', 'announcement', name='google_buzz_kind', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('key', sa.String(length=100), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('(pass_id IS NULL) <> (google_class_id IS NULL)', name=op.f('ck_google_buzzes_one_addressee')),
    sa.ForeignKeyConstraint(['google_class_id'], ['google_classes.id'], name=op.f('fk_google_buzzes_google_class_id_google_classes')),
    sa.ForeignKeyConstraint(['pass_id'], ['google_objects.pass_id'], name=op.f('fk_google_buzzes_pass_id_google_objects')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_google_buzzes')),
    sa.UniqueConstraint('google_class_id', 'key', name=op.f('uq_google_buzzes_google_class_id_key')),
    sa.UniqueConstraint('pass_id', 'key', name=op.f('uq_google_buzzes_pass_id_key'))
    )
    op.create_index('ix_google_buzzes_google_class_id_at', 'google_buzzes', ['google_class_id', 'at'], unique=False)
    op.create_index('ix_google_buzzes_pass_id_at', 'google_buzzes', ['pass_id', 'at'], unique=False)
    op.create_table('google_messages',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('pass_id', sa.BigInteger(), nullable=True),
    sa.Column('google_class_id', sa.BigInteger(), nullable=True),
    sa.Column('message_id', sa.String(length=100), nullable=False),
    sa.Column('body', postgresql.JSONB(astext_type=Text()), nullable=False),
    sa.Column('wants_buzz', sa.Boolean(), nullable=False),
    sa.Column('state', sa.Enum('due', 'sent', 'silent', 'refused', name='google_message_state', native_enum=False, create_constraint=True, length=32), nullable=False),
    sa.Column('lane', sa.SmallInteger(), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('error', sa.String(length=500), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('(pass_id IS NULL) <> (google_class_id IS NULL)', name=op.f('ck_google_messages_one_addressee')),
    sa.ForeignKeyConstraint(['google_class_id'], ['google_classes.id'], name=op.f('fk_google_messages_google_class_id_google_classes')),
    sa.ForeignKeyConstraint(['pass_id'], ['google_objects.pass_id'], name=op.f('fk_google_messages_pass_id_google_objects')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_google_messages')),
    sa.UniqueConstraint('message_id', name=op.f('uq_google_messages_message_id'))
    )
    op.create_index('ix_google_messages_due', 'google_messages', ['lane', 'due_at'], unique=False, postgresql_where=sa.text("state = 'due'"))
    op.create_index(op.f('ix_google_messages_google_class_id'), 'google_messages', ['google_class_id'], unique=False)
    op.create_index(op.f('ix_google_messages_pass_id'), 'google_messages', ['pass_id'], unique=False)



def _choices(table: str, name: str, column: str, values: tuple[str, ...]) -> None:
    """Let a column have further values."""
    allowed = ", ".join(f"'{value}'" for value in values)
    # Which of the two names it has depended on what the migrating process had imported.
    for given in (name, f"ck_{table}_{name}"):
        op.drop_constraint(op.f(given), table, type_="check", if_exists=True)
    op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, f"{column} IN ({allowed})")


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
