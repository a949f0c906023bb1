"""Alembic's entry point; `storage/migrate.py` starts it with a connection."""

from typing import Any, Literal

from alembic import context
from sqlmodel import SQLModel


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    return not (kind == "table" and name is not None and name.startswith("procrastinate_"))


def _render_item(kind: str, item: object, _context: Any) -> str | Literal[False]:
    """Write our own column types as what they are in the database."""
    if kind == "type" and type(item).__name__ == "EncryptedText":
        return "sa.Text()"
    if kind == "type" and type(item).__name__ == "AutoString":
        length = getattr(item, "length", None)
        return f"sa.String(length={length})" if length else "sa.Text()"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    include_name=_is_ours,
    compare_server_default=True,
    render_item=_render_item,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
