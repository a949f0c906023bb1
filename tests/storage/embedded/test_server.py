"""The embedded PostgreSQL: shared by processes, never stuck whatever happens to them."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from tests.storage.embedded.helpers import (
    AS_ORDINARY_USER,
    FAST,
    User,
    postmaster,
    query,
    servers,
    until,
)
from walletsvc.core.errors import ConfigurationError
from walletsvc.storage.embedded import EmbeddedServer
from walletsvc.storage.engine import driver_url


def test_a_first_start_makes_a_private_server_that_knows_cyrillic(tmp_path: Path) -> None:
    """From nothing: one address for psycopg and SQLAlchemy, durable, private, no network."""
    folder = tmp_path / "var" / "postgres"
    tmp_path.chmod(0o755)
    with EmbeddedServer(folder) as server:
        url = server.start()
        engine = create_engine(driver_url(url))
        with engine.connect() as connection:
            assert connection.execute(text("SELECT current_database()")).scalar() == "walletsvc"
        engine.dispose()
        assert query(url, "SELECT lower('ЁЛКА Ÿ') || upper('ёж')") == "ёлка ÿЁЖ"
        assert query(url, "SELECT 'Ёлка' ILIKE 'ёЛК%'") is True
        for setting, value in {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "data_checksums": "on",
            "server_encoding": "UTF8",
            "listen_addresses": "",
        }.items():
            assert query(url, f"SHOW {setting}") == value, setting
        assert str(query(url, "SHOW server_version")).startswith("18.")
        assert int(str(query(url, "SHOW max_connections"))) >= 100
        modes = {p: stat.S_IMODE(p.stat().st_mode) for p in (folder, *folder.iterdir())}
        assert {p.name for p, mode in modes.items() if mode & 0o077} == set()
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
        assert server.bin("pg_dump").is_file()
    assert servers(folder) == set()
    assert not list(folder.glob(".s.PGSQL*"))


def test_the_last_one_out_stops_the_server(folder: Path) -> None:
    """A second process joins; the first leaving changes nothing for it; then all is quiet."""
    user = User(folder)
    with EmbeddedServer(folder, FAST) as server:
        url = server.start()
        since = query(url, "SELECT pg_postmaster_start_time()")
        user.go()
        assert user.line() == str(since)
    assert query(url, "SELECT 1") == 1
    assert user.leave() == ""
    assert servers(folder) == set()


def test_eight_racing_starters_get_one_server(tmp_path: Path) -> None:
    """Eight processes that start at once on an empty folder all use one and the same server."""
    folder = tmp_path / "postgres"
    users = [User(folder) for _ in range(8)]
    for user in users:
        user.go()
    assert len({user.line() for user in users}) == 1
    assert [user.leave() for user in users] == [""] * 8
    assert servers(folder) == set()


def test_after_sigkill_of_the_starter_the_next_takes_over(folder: Path) -> None:
    """A server that outlived its only user is joined, and stopped, by the next."""
    user = User(folder)
    user.go()
    since = user.line()
    user.kill()
    assert servers(folder)
    with EmbeddedServer(folder, FAST) as server:
        assert str(query(server.start(), "SELECT pg_postmaster_start_time()")) == since


def test_after_sigkill_during_the_first_start_the_next_begins_anew(tmp_path: Path) -> None:
    """A half-made data directory is never taken for data."""
    folder = tmp_path / "postgres"
    user = User(folder)
    user.go()
    until(lambda: any(folder.glob("data.new-*/PG_VERSION")))
    user.kill()
    with EmbeddedServer(folder, FAST) as server:
        assert query(server.start(), "SELECT 1") == 1
    assert servers(folder) == set()


def test_after_sigkill_of_the_server_the_next_start_recovers(folder: Path) -> None:
    """What was committed is there; a session that the killed server left behind is ended."""
    with EmbeddedServer(folder, FAST) as server:
        url = server.start()
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        with closing(psycopg.connect(url, autocommit=True)) as busy:
            # Computing without end, the session does not notice that its server is gone.
            busy.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 1000000000000)")
            os.kill(postmaster(folder), signal.SIGKILL)
            with EmbeddedServer(folder, FAST, timeout=60) as other:
                assert query(other.start(), "SELECT answer FROM kept") == 42


def test_a_reused_pid_neither_blocks_nor_is_harmed(folder: Path) -> None:
    """The pid of a dead server may be another program's: start passes it over, stop spares it."""
    with (
        subprocess.Popen(["cat"], stdin=subprocess.PIPE) as innocent,
        EmbeddedServer(folder, FAST) as server,
    ):
        server.start()
        pid = postmaster(folder)
        os.kill(pid, signal.SIGKILL)
        until(lambda: not servers(folder))
        for name in ("data/postmaster.pid", ".s.PGSQL.5432.lock"):
            path = folder / name
            path.write_text(path.read_text().replace(str(pid), str(innocent.pid), 1))
        server.stop()
        assert innocent.poll() is None
        assert query(server.start(), "SELECT 1") == 1
        assert innocent.poll() is None


def test_forked_and_started_children_hold_nothing(folder: Path) -> None:
    """The server stops with its user though a forked and a started child live on."""
    code = (
        "import os, subprocess, sys\n"
        "from pathlib import Path\n"
        "from walletsvc.storage.embedded import EmbeddedServer\n"
        "server = EmbeddedServer(Path(sys.argv[1]), {'fsync': 'off'})\n"
        "server.start()\n"
        "started = subprocess.Popen(['cat'])\n"
        "if os.fork() == 0:\n"
        "    sys.stdin.read(); os._exit(0)\n"
        "server.stop()\n"
        "print('left', flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == "left\n"
        assert servers(folder) == set()
        with EmbeddedServer(folder, FAST) as server:
            assert query(server.start(), "SELECT 1") == 1


def test_an_awkward_path_gets_a_short_private_socket(folder: Path, tmp_path: Path) -> None:
    """A long folder name with Cyrillic, spaces and shell characters works; no trace is left."""
    awkward = tmp_path / ("длинное имя " * 5) / "$(touch pwned) 'x', \"y\"" / "postgres"
    awkward.parent.mkdir(parents=True)
    folder.rename(awkward)
    with EmbeddedServer(awkward, FAST) as server:
        url = server.start()
        short = Path(str(query(url, "SHOW unix_socket_directories")))
        assert stat.S_IMODE(short.stat().st_mode) == 0o700
        with EmbeddedServer(awkward, FAST) as other:
            assert other.start() == url
    assert not short.exists()
    assert not list(tmp_path.rglob("pwned"))
    short.mkdir(mode=0o700)
    short.chmod(0o777)
    with pytest.raises(ConfigurationError, match=rf"^{short} is not a private folder"):
        EmbeddedServer(awkward, FAST).start()
    short.rmdir()
    awkward.rename(folder)


def test_an_ordinary_user_needs_no_privilege(folder: Path) -> None:
    """Started by an ordinary user, without any helper program, it works just as well."""
    user = User(folder, *AS_ORDINARY_USER)
    user.go()
    assert user.line().endswith("+00:00")
    assert user.leave() == ""
