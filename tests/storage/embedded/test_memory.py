"""How much memory the embedded server asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from walletsvc.storage.embedded import EmbeddedServer, memory
from walletsvc.storage.engine import Database

GIB = 1024**3


@pytest.mark.parametrize(
    ("installed", "wanted"),
    [(GIB // 4, "128MB"), (2 * GIB, "512MB"), (12 * GIB, "3072MB"), (256 * GIB, "4096MB")],
)
def test_a_quarter_of_the_memory_within_reason(installed: int, wanted: str) -> None:
    """Small machines keep the server's own default, large ones have more to do than this."""
    assert memory.shared_buffers(installed) == wanted


def test_a_containers_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container the machine's memory is not ours to take; "max" is no limit."""
    limit, none = tmp_path / "memory.max", tmp_path / "no_limit"
    limit.write_text(f"{GIB}\n")
    none.write_text("max\n")
    monkeypatch.setattr(memory, "_LIMITS", (limit, none, tmp_path / "absent"))
    assert memory.shared_buffers() == "256MB"


def test_the_server_runs_with_it(tmp_path: Path) -> None:
    """What the server says of itself is what was worked out."""
    server = EmbeddedServer(tmp_path / "postgres", {"fsync": "off"})
    database = Database(server.start())
    try:
        with database.engine.connect() as connection:
            shown = connection.exec_driver_sql(
                "SELECT setting::bigint * 8192 FROM pg_settings WHERE name = 'shared_buffers'"
            ).scalar_one()
    finally:
        database.close()
        server.stop()
    assert f"{shown // 1024**2}MB" == memory.shared_buffers()
