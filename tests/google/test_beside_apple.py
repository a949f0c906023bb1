"""The issuer is a pass type too, but none that Apple's side has anything to do with."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlmodel import Session, col, select, update

from tests.google.shop import GOOGLE, HOUSE, PUBLISHER, google_pass
from tests.passes.shop import TEMPLATES, Shop, member, open_shop
from walletsvc.apple import channels, metrics
from walletsvc.apple.identity import check
from walletsvc.cli.main import walletsvc
from walletsvc.core.actor import SYSTEM
from walletsvc.core.errors import NotFound, WalletsvcError
from walletsvc.google.models import GoogleObject
from walletsvc.jobs.bulk import service as bulk
from walletsvc.jobs.bulk.models import BulkJob
from walletsvc.jobs.changes import Lane
from walletsvc.passes import spreading
from walletsvc.passes.models import PassTemplate, PassType
from walletsvc.settings import Settings
from walletsvc.storage.engine import Database

APPLE = {"pass.test.points", "pass.test.gift"}


def both(session: Session, now: datetime) -> tuple[Shop, int]:
    """A shop with a card in both wallets; the id of the Google pass."""
    shop = open_shop(session, now)
    made = google_pass(session, member(session, shop, now), now)
    session.execute(
        update(GoogleObject)
        .where(col(GoogleObject.pass_id) == made.id)
        .values(inserted_at=now, has_users=True)
    )
    assert set(session.exec(select(PassType.identifier))) == {*APPLE, HOUSE.issuer_id}
    return shop, made.id


def test_it_needs_no_certificate(database: Database, tmp_path: Path, now: datetime) -> None:
    """Those that lack one are Apple's."""
    settings = Settings(data_dir=tmp_path)
    with database.write_tx() as session:
        both(session, now)
        assert {problem.pass_type for problem in check(session, settings, now)} == APPLE


def test_it_has_no_push_channel(database: Database, now: datetime) -> None:
    """Nothing is sent, shown, paused or measured for it there."""
    with database.write_tx() as session:
        both(session, now)
        assert {each.identifier for each in channels.standings(session, now)} == APPLE
        assert {each.pass_type for each in channels.channels(session)} == APPLE
        assert set(channels.pause(session, None, actor=SYSTEM, now=now)) == APPLE
        with pytest.raises(NotFound):
            channels.pause(session, HOUSE.issuer_id, actor=SYSTEM, now=now)
        measured = {
            sample.labels["pass_type"]
            for family in metrics.families(session, now)
            for sample in family.samples
            if "pass_type" in sample.labels
        }
        assert measured == APPLE


def test_no_template_is_published_under_it(
    database: Database, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A template has Apple's pass type; Google's passes come by themselves."""
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", database.conninfo)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    with database.write_tx() as session:
        both(session, now)
    command = ["templates", "publish", str(TEMPLATES / "loyalty"), "--programme", "guest"]
    result = CliRunner().invoke(walletsvc, [*command, "--pass-type", HOUSE.issuer_id])
    assert isinstance(result.exception, WalletsvcError), result.output
    assert "There is no pass type" in str(result.exception)


def test_check_tells_of_google_where_it_has_an_issuer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both wallets' findings in one list; --strict holds for the product's templates."""
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_PUBLIC_URL", "https://cards.example")
    command = ["templates", "check", "--strict", *(str(TEMPLATES / n) for n in ("loyalty", "gift"))]
    without = CliRunner().invoke(walletsvc, command)
    assert without.exit_code == 0
    assert "google" not in without.output
    monkeypatch.setenv("WALLETSVC_GOOGLE_ISSUER_ID", HOUSE.issuer_id)
    result = CliRunner().invoke(walletsvc, command)
    assert result.exit_code == 0, result.output
    assert "[google-wording]" in result.output


def test_a_broadcast_waits_for_google_too(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a purchase would stand behind all of it."""
    monkeypatch.setattr(spreading, "MOST_WAITING", 1)
    with database.write_tx() as session:
        shop, pass_id = both(session, now)
        template = session.exec(
            select(PassTemplate).where(PassTemplate.programme_id == shop.points.id)
        ).one()
        jobs = [
            begun(session, {"template_id": template.id}, now),
            begun(session, {"programme_id": shop.points.id}, now),
            begun(session, {"programme_id": shop.gift.id}, now),
        ]
        assert [spreading.must_wait(PUBLISHER, session, job) for job in jobs] == [False] * 3
        GOOGLE.notify(session, [pass_id], lane=Lane.BULK, now=now)
        assert [spreading.must_wait(PUBLISHER, session, job) for job in jobs] == [True, True, False]


def begun(session: Session, parameters: dict[str, int], now: datetime) -> BulkJob:
    return bulk.begin(
        session,
        kind="test",
        title="test",
        parameters=parameters,
        total=1,
        actor=SYSTEM,
        now=now,
    )
