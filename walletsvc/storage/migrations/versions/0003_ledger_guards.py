"""The ledger refuses edits and transactions that do not balance"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

GUARDS = """
CREATE FUNCTION ledger_refuse_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed: post a reversal', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION ledger_check_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM inserted GROUP BY transaction_id, unit_id HAVING sum(amount) <> 0
    ) THEN
        RAISE EXCEPTION 'the entries of a transaction must sum to zero in every unit'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER refuse_edit BEFORE UPDATE OR DELETE ON ledger_entries
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_edit();
CREATE TRIGGER refuse_edit BEFORE UPDATE OR DELETE ON ledger_transactions
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_edit();
CREATE TRIGGER refuse_edit BEFORE UPDATE OR DELETE ON lot_movements
    FOR EACH ROW EXECUTE FUNCTION ledger_refuse_edit();
-- Entries of one transaction are inserted by one statement, so one look per statement is enough.
CREATE TRIGGER check_balanced AFTER INSERT ON ledger_entries
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_balanced();
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(GUARDS.replace("%", "%%"))


def downgrade() -> None:
    raise NotImplementedError("walletsvc migrates forward only; restore a backup to go back")
