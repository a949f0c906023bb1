"""From published changes to Google: 20,000 loyalty cards at a quota of 2,000 requests a second.

The sender runs as in production, the emulator and the database beside it on the same machine.
Each change notifies, so each takes from the card's allowance as well. The limit is the quota.
`google_sync_memory` is the memory of the sender after 2,000 changes, and as its limit after
20,000 more: the ratio is 1 when nothing grew.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text
from sqlmodel import Session

from bench import Result
from bench.pushing import free_port
from walletsvc import settings
from walletsvc.app import Installation, open_installation
from walletsvc.cli.run import ROOT, command_line, environment
from walletsvc.core.actor import SYSTEM
from walletsvc.enrolment.service import enrol
from walletsvc.google import due
from walletsvc.google.issuer import ensure_object
from walletsvc.google.models import GoogleClass
from walletsvc.jobs.changes import Lane
from walletsvc.merchants.service import create_organisation
from walletsvc.passes import templates
from walletsvc.passes.models import PassType, Wallet
from walletsvc.passes.service import ensure_pass, find_by_link
from walletsvc.programmes.models import Programme
from walletsvc.programmes.service import create_points_programme

NAME = "google_sync"
COUNT = 20_000
FEW = 2_000
QUOTA = 2_000
ISSUER = "3388000000022000000"
_PATIENCE_SECONDS = 300

# One real member's rows, as often as wanted.
_COPY = """
INSERT INTO accounts (public_id, organisation_id, unit_id, kind, balance, held, min_balance,
    created_at)
SELECT 'account' || n, organisation_id, unit_id, kind, 0, 0, 0, created_at
FROM accounts, generate_series(1, :count) n WHERE id = :account;

INSERT INTO cards (public_id, person_id, programme_id, account_id, number, link_token,
    link_hash, created_at)
SELECT 'card' || a.id, p.id, :programme, a.id, lpad(CAST(a.id AS text), 16, '0'), c.link_token,
    decode(md5(a.public_id), 'hex'), a.created_at
FROM accounts a JOIN persons p ON p.public_id = replace(a.public_id, 'account', 'person')
CROSS JOIN cards c WHERE c.id = :card;

INSERT INTO passes (card_id, wallet, template_id, pass_type_id, serial, auth_token, content,
    digest, version_id, revision, tag, last_modified, published_at, unclaimed_downloads,
    created_at)
SELECT c.id, p.wallet, p.template_id, p.pass_type_id, 'serial' || c.id, p.auth_token, p.content,
    p.digest, p.version_id, 1, 0, p.last_modified, p.published_at, 0, p.created_at
FROM passes p, cards c WHERE p.id = :pass AND c.id <> :card;

INSERT INTO google_objects (pass_id, google_class_id, object_id, has_users, sent_revision,
    sent_values, messages, lane, attempts, error, created_at, due_at)
SELECT p.id, o.google_class_id, :issuer || '.' || p.serial, false, 0, '{}', 0, 1, 0, '',
    p.created_at, p.created_at
FROM passes p, google_objects o
WHERE o.pass_id = :pass AND p.id <> :pass AND p.wallet = 'google'
"""
_PERSONS = """
INSERT INTO persons (public_id, organisation_id, first_name, last_name, language, created_at)
SELECT 'person' || n, organisation_id, first_name, last_name, language, created_at
FROM persons, generate_series(1, :count) n WHERE id = :person
"""
_CHANGE = text(
    "UPDATE passes SET revision = revision + 1, content = jsonb_set(content, '{values,points}',"
    "   to_jsonb(revision * 10)) WHERE id IN (SELECT pass_id FROM google_objects WHERE has_users"
    "   ORDER BY pass_id LIMIT :count) RETURNING id"
)
_SAVED = text("UPDATE google_objects SET has_users = true WHERE inserted_at IS NOT NULL")
_WAITING = text("SELECT count(*) FROM google_objects WHERE due_at IS NOT NULL")


@dataclass(frozen=True)
class Scene:
    """An installation whose members all have their card in Google Wallet, and its sender."""

    installation: Installation
    google: subprocess.Popen[str]
    sender: subprocess.Popen[bytes]

    def await_sent(self) -> float:
        """Wait until nothing is due; the monotonic time."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with self.installation.database.read_tx() as session:
                waiting = session.execute(_WAITING).scalar_one()
            if not waiting:
                return time.monotonic()
            if self.sender.poll() is not None:
                raise RuntimeError("The sender ended.")
            time.sleep(0.1)
        raise RuntimeError(f"{waiting} objects are still due.")

    def change(self, count: int) -> float:
        """Publish changes and wait until Google has them all; the seconds that it took."""
        installation = self.installation
        with installation.database.write_tx() as session:
            changed = session.execute(_CHANGE, {"count": count}).scalars().all()
            due.mark(session, changed, ISSUER, lane=Lane.BULK, now=installation.clock())
        started = time.monotonic()
        return self.await_sent() - started

    def memory(self) -> float:
        """The resident memory of the sender, in MiB."""
        status = Path(f"/proc/{self.sender.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def cpu_seconds(self) -> float:
        """The processor time that the sender has taken."""
        fields = Path(f"/proc/{self.sender.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run() -> dict[str, Result]:
    """The rate of 20,000 changes, and the memory before and after."""
    with scene() as bench:
        bench.change(FEW)
        before, spent = bench.memory(), bench.cpu_seconds()
        seconds = bench.change(COUNT)
        after, spent = bench.memory(), bench.cpu_seconds() - spent
    print(f"{spent / COUNT * 1e6:.0f} us of the sender's processor time per change")
    return {
        NAME: Result(COUNT / seconds, "changes/s", QUOTA),
        f"{NAME}_memory": Result(before, "MiB", after),
    }


@contextmanager
def scene() -> Iterator[Scene]:
    """Everything in a temporary folder."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="walletsvc-bench-")))
        port, key = free_port(), folder / "google.json"
        google = stack.enter_context(_google(port, key))
        values = {
            "database_url": None,
            "data_dir": folder / "data",
            "google_issuer_id": ISSUER,
            "google_key_file": key,
            "google_url": f"http://127.0.0.1:{port}",
            "google_requests_per_second": QUOTA,
            "log_level": "warning",
        }
        env = environment(**values)
        given = {name: value for name, value in values.items() if name != "google_key_file"}
        loaded = settings.load(**given, google_key=key.read_text())
        installation = stack.enter_context(open_installation(loaded))
        class_id = seed(installation, COUNT)
        sender = subprocess.Popen(command_line("worker", "--only", "google"), env=env)
        stack.callback(_end, sender)
        made = Scene(installation, google, sender)
        made.await_sent()
        assert google.stdin is not None
        assert google.stdout is not None
        google.stdin.write(f"{class_id}\n")
        google.stdin.flush()
        google.stdout.readline()
        with installation.database.write_tx() as session:
            session.execute(_SAVED)
        yield made


@contextmanager
def _google(port: int, key: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "bench.google_side", str(port), str(key), ISSUER, str(QUOTA)]
    google = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert google.stdout is not None
    google.stdout.readline()
    try:
        yield google
    finally:
        google.terminate()
        google.communicate(timeout=30)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(timeout=60)


def seed(installation: Installation, count: int) -> str:
    """Make the shop and its members; returns the class id."""
    now = installation.clock()
    google = next(d for d in installation.publisher.dialects if d.wallet is Wallet.GOOGLE)
    with installation.database.write_tx() as session:
        programme = _programme(session, installation)
        card = enrol(
            session,
            programme=programme,
            phone="+79000001000",
            first_name="Екатерина",
            last_name="Константинова",
            actor=SYSTEM,
            now=now,
        ).card
        subject = find_by_link(session, card.link_token)
        assert subject is not None
        first = ensure_pass(session, subject, google, now)
        object_ = ensure_object(session, first, now)
        installation.publisher.publish(session, [first.id], lane=Lane.BULK, now=now)
        values = {
            "account": card.account_id,
            "programme": programme.id,
            "person": card.person_id,
            "card": card.id,
            "pass": first.id,
            "issuer": ISSUER,
            "count": count,
        }
        for statement in (_PERSONS, *_COPY.split(";")):
            session.execute(text(statement), values)
        class_id = session.get_one(GoogleClass, object_.google_class_id).class_id
    with installation.database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))
    return class_id


def _programme(session: Session, installation: Installation) -> Programme:
    """A points programme with the product's template."""
    now = installation.clock()
    organisation = create_organisation(session, slug="bench", name="Лавка", now=now)
    programme = create_points_programme(
        session, organisation_id=organisation.id, slug="bench", name="Клуб", now=now
    )
    pass_type = PassType(
        identifier="pass.bench", team_identifier="WALLETSVC0", epoch=1, created_at=now
    )
    session.add(pass_type)
    session.flush()
    templates.publish(
        session,
        programme_id=programme.id,
        pass_type_id=pass_type.id,
        template=templates.load(ROOT / "pass_templates" / "loyalty"),
        dialects=installation.publisher.dialects,
        now=now,
    )
    return programme
