"""What the push benchmarks share: a shop of the wanted size, its worker, the bare loop."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pycurl
from sqlalchemy import text

from bench.sink import Sink, running
from walletsvc import settings
from walletsvc.app import Installation, open_installation
from walletsvc.apple import devcerts
from walletsvc.apple.authorities import INTERMEDIATE
from walletsvc.cli.run import ROOT, command_line, environment
from walletsvc.merchants.service import create_organisation
from walletsvc.passes import templates
from walletsvc.programmes.service import create_points_programme
from walletsvc.storage import columns

COUNT = 100_000
PASS_TYPE = "pass.dev.walletsvc.bench"
_IN_FLIGHT = 100
_PATIENCE_SECONDS = 300

# A member's rows, all at once for so many members; what they say does not matter, how much
# does. The passes were published before, with other content than they would show now.
_MEMBERS = """
INSERT INTO accounts (public_id, organisation_id, unit_id, kind, balance, held, min_balance,
    created_at)
SELECT 'account' || n, :organisation, :unit, 'customer', n, 0, 0, :past
FROM generate_series(1, :count) n;

INSERT INTO persons (public_id, organisation_id, first_name, last_name, language, created_at)
SELECT 'person' || n, :organisation, 'Екатерина', 'Константинова', 'ru', :past
FROM generate_series(1, :count) n;

INSERT INTO cards (public_id, person_id, programme_id, account_id, number, link_token,
    link_hash, created_at)
SELECT 'card' || a.id, p.id, :programme, a.id, lpad(CAST(a.id AS text), 16, '0'), :sealed,
    decode(md5(a.public_id), 'hex'), :past
FROM accounts a JOIN persons p ON p.public_id = replace(a.public_id, 'account', 'person');

INSERT INTO passes (card_id, wallet, template_id, pass_type_id, serial, auth_token, content,
    digest, version_id, revision, tag, last_modified, published_at, unclaimed_downloads,
    created_at)
SELECT c.id, 'apple', v.template_id, :pass_type, 'serial' || c.id, :sealed,
    jsonb_build_object('values', jsonb_build_object('points', 0, 'name', repeat('x', 200))),
    decode(repeat(md5(c.public_id), 2), 'hex'), v.id, 1, 0, :past, :past, 0, :past
FROM cards c, template_versions v;

INSERT INTO devices (library_identifier, push_token, registered_at, created_at)
SELECT md5(CAST(n AS text)), repeat(md5(CAST(n AS text)), 2), :past, :past
FROM generate_series(1, :count) n;

INSERT INTO registrations (device_id, pass_id, pass_type_id, tag, created_at)
SELECT d.id, p.id, :pass_type, 0, :past
FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM devices) d
JOIN (SELECT id, row_number() OVER (ORDER BY id) AS n FROM passes) p ON p.n = d.n;

DELETE FROM changes
"""


@dataclass(frozen=True)
class Shop:
    """An installation whose members all hold their pass, and the sink it pushes to."""

    installation: Installation
    sink: Sink
    pass_type_id: int
    environment: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @contextmanager
    def worker(self, *parts: str) -> Iterator[None]:
        """Parts of `walletsvc worker` as processes of their own for the time of the block."""
        for part in parts:
            command = command_line("worker", "--only", part)
            self.processes.append(subprocess.Popen(command, env=self.environment))
        try:
            yield
        finally:
            for process in self.processes:
                process.terminate()
            while self.processes:
                self.processes.pop().wait(timeout=60)

    def memory(self) -> list[int]:
        """The resident memory of each process of the worker, in KiB, in their order."""
        found = []
        for process in self.processes:
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
            found.append(int(status.partition("VmRSS:")[2].split()[0]))
        return found

    def await_accepted(self, count: int) -> float:
        """Wait until the sink accepted so many pushes in all; the monotonic time of the last."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            accepted, last = self.sink.accepted()
            if accepted >= count:
                return last
            if any(process.poll() is not None for process in self.processes):
                raise RuntimeError("A part of the worker ended.")
            time.sleep(0.2)
        raise RuntimeError(f"Only {accepted} of {count} pushes were accepted.")

    def queued(self) -> int:
        """Pushes that are not settled yet."""
        with self.installation.database.read_tx() as session:
            return int(session.execute(text("SELECT count(*) FROM pushes")).scalar_one())


@contextmanager
def shop(count: int = COUNT) -> Iterator[Shop]:
    """A shop with so many members on an embedded database, all in a temporary folder."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="walletsvc-bench-")))
        port = free_port()
        values = {
            "database_url": None,
            "data_dir": folder,
            "apns_url": f"https://127.0.0.1:{port}",
            "apns_ca_file": folder / "sink" / "ca.pem",
            "log_level": "warning",
        }
        loaded = settings.load(**values)
        installation = stack.enter_context(open_installation(loaded))
        pass_type_id = seed(installation, count)
        with installation.database.read_tx() as session:
            identity = installation.factory.identity(session, pass_type_id)
        trusted = loaded.certs_dir / f"{INTERMEDIATE}.pem"
        sink = stack.enter_context(running(folder / "sink", port, trusted, identity))
        yield Shop(installation, sink, pass_type_id, environment(**values))


def bare_rate(sink: Sink, count: int = COUNT) -> float:
    """Pushes per second of nothing but a multiplexed loop: what this machine can do."""
    multi = pycurl.CurlMulti()
    multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
    multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, 1)
    idle = [_bare_handle(sink) for _ in range(_IN_FLIGHT)]
    started = time.monotonic()
    begun = done = 0
    while done < count:
        while idle and begun < count:
            begun += 1
            curl = idle.pop()
            curl.setopt(pycurl.URL, f"{sink.url}/3/device/{begun:064x}")
            curl.setopt(pycurl.HTTPHEADER, _bare_headers(begun))
            multi.add_handle(curl)
        multi.perform()
        more = 1
        while more:
            more, finished, failed = multi.info_read()
            if failed:
                raise RuntimeError(f"The sink does not answer: {failed[0][2]}")
            for curl in finished:
                multi.remove_handle(curl)
            done += len(finished)
            idle += finished
        if not idle and (wait := min(max(multi.timeout(), 0), 1000)):
            multi.select(wait / 1000)
    seconds = time.monotonic() - started
    multi.close()
    return count / seconds


def _bare_handle(sink: Sink) -> pycurl.Curl:
    curl = pycurl.Curl()
    sink.prepare(curl)
    curl.setopt(pycurl.PIPEWAIT, 1)
    curl.setopt(pycurl.POSTFIELDS, b"{}")
    return curl


def _bare_headers(number: int) -> list[str]:
    return [
        f"apns-topic: {PASS_TYPE}",
        "apns-push-type: background",
        "apns-priority: 5",
        f"apns-id: 00000000-0000-0000-0000-{number:012}",
    ]


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def seed(installation: Installation, count: int) -> int:
    """Make the shop; returns the id of its pass type."""
    now = installation.clock()
    with installation.database.write_tx() as session:
        organisation = create_organisation(session, slug="bench", name="Лавка", now=now)
        programme = create_points_programme(
            session, organisation_id=organisation.id, slug="bench", name="Клуб", now=now
        )
        pass_type = devcerts.create(
            session,
            installation.settings,
            pass_type_identifiers=[PASS_TYPE],
            team_identifier="WALLETSVC0",
            now=now,
        )[0]
        templates.publish(
            session,
            programme_id=programme.id,
            pass_type_id=pass_type.id,
            template=templates.load(ROOT / "pass_templates" / "loyalty"),
            dialects=installation.publisher.dialects,
            now=now,
        )
        values = {
            "organisation": organisation.id,
            "unit": programme.unit_id,
            "programme": programme.id,
            "pass_type": pass_type.id,
            "sealed": columns.keyring().encrypt("a" * 32),
            "past": now - timedelta(days=1),
            "count": count,
        }
        for statement in _MEMBERS.split(";"):
            session.execute(text(statement), values)
    with installation.database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))
    return pass_type.id
