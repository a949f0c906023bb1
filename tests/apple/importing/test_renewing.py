"""A pass type's next certificate: which one counts, and who goes on with the former."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from tests.apple.authority import PASS_TYPE, TEAM, with_key
from tests.apple.importing.desk import Desk
from tests.factories import make_shop
from walletsvc.apple import devcerts, identity, renewal
from walletsvc.apple.importing import Outcome
from walletsvc.apple.models import (
    CertificateState,
    ChannelState,
    PushChannel,
)
from walletsvc.core.errors import ConfigurationError
from walletsvc.passes.models import PassType
from walletsvc.storage.engine import Database


def test_a_renewal_retires_the_former_one(desk: Desk) -> None:
    """A key of its own; the former key stays, for what was signed with it stands."""
    first = desk.renew(0)
    desk.now += timedelta(days=340)
    second = desk.renew(1)
    assert desk.states() == ["retired", "active"]
    assert desk.signs() == second.certificates[0]
    assert len({row.key_file for row in desk.rows()}) == 2
    assert all((desk.settings.certs_dir / row.key_file).exists() for row in desk.rows())
    assert first.certificates[0] != second.certificates[0]


def test_an_older_certificate_is_not_activated_by_mistake(desk: Desk) -> None:
    """Somebody finds last year's file; going back is possible, but must be said."""
    first = desk.renew(0, at=desk.now - timedelta(days=10))
    second = desk.renew(1)
    stray = with_key(number=2, at=desk.now - timedelta(days=5))
    for bundle in (first, stray):
        with pytest.raises(ConfigurationError, match="already signs with a newer certificate"):
            desk.bring(bundle)
    assert desk.states() == ["retired", "active"]
    assert desk.bring(first, replace_newer=True).outcome is Outcome.ACTIVATED
    assert desk.states() == ["active", "retired"]
    assert desk.signs() == first.certificates[0]
    # The newer one needs no flag to come back.
    assert desk.bring(second).outcome is Outcome.ACTIVATED
    assert desk.signs() == second.certificates[0]


def test_apples_always_replaces_one_that_was_made_here(desk: Desk) -> None:
    """Also when the development certificate is the younger one; never the other way round."""
    with desk.database.write_tx() as session:
        devcerts.create(
            session,
            desk.settings,
            pass_type_identifiers=[PASS_TYPE],
            team_identifier=TEAM,
            now=desk.now,
        )
    bundle = with_key(at=desk.now - timedelta(days=3))
    assert desk.bring(bundle).outcome is Outcome.ACTIVATED
    assert desk.signs() == bundle.certificates[0]


def test_several_pass_types_live_side_by_side(desk: Desk) -> None:
    """Each with a certificate and a key of its own."""
    desk.bring(with_key())
    desk.bring(with_key(number=1, pass_type="pass.com.example.gift"))
    assert desk.states() == ["active", "active"]
    assert desk.problems() == []


def test_a_host_without_the_new_key_goes_on_with_the_former(desk: Desk, tmp_path: Path) -> None:
    """It says so as a warning, until the key is brought; then it signs with the new one."""
    desk.renew(0, at=desk.now - timedelta(days=300))
    old = desk.signs()
    renewed = desk.renew(1)
    path = desk.settings.certs_dir / desk.rows()[-1].key_file
    path.rename(tmp_path / "elsewhere.key")
    assert desk.signs() == old
    (problem,) = desk.problems()[:1]
    assert problem.severity is identity.Severity.WARNING
    assert "is missing" in problem.message
    assert f"the former certificate {desk.rows()[0].fingerprint[:16]} signs" in problem.message
    with pytest.raises(ConfigurationError, match=r"active one .* does not work here"):
        desk.bring(renewed)
    key = identity.keys.read_key(tmp_path / "elsewhere.key")
    assert not isinstance(key, str)
    done = desk.bring(replace(renewed, key=key))
    assert done.outcome is Outcome.KEY_PUT_IN_PLACE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert desk.signs() == renewed.certificates[0]
    assert desk.problems() == []


def test_a_host_whose_clock_is_behind_goes_on_with_the_former(desk: Desk) -> None:
    """The new certificate is not valid yet by its clock."""
    desk.renew(0, at=desk.now - timedelta(days=100))
    old = desk.signs()
    desk.renew(1)
    desk.now -= timedelta(days=2)
    assert desk.signs() == old
    (problem,) = desk.problems()
    assert problem.severity is identity.Severity.WARNING
    assert "valid only from" in problem.message


def test_one_made_here_never_stands_in_for_apples(desk: Desk) -> None:
    """It would sign, and no phone would take the pass: better an error that is seen."""
    with desk.database.write_tx() as session:
        devcerts.create(
            session,
            desk.settings,
            pass_type_identifiers=[PASS_TYPE],
            team_identifier=TEAM,
            now=desk.now,
        )
    desk.renew(0)
    (desk.settings.certs_dir / desk.rows()[-1].key_file).unlink()
    with pytest.raises(ConfigurationError, match="is missing"):
        desk.signs()
    (problem,) = desk.problems()
    assert problem.severity is identity.Severity.ERROR


def test_pushes_that_had_stopped_are_tried_at_once(
    desk: Desk, request: pytest.FixtureRequest
) -> None:
    """Not after the quarter of an hour that a fault of configuration costs; a pause of the
    operator's stays."""
    desk.bring(with_key())
    desk.bring(with_key(number=1, pass_type="pass.com.example.gift"))
    later = desk.now + timedelta(minutes=15)
    with desk.database.write_tx() as session:
        states = (ChannelState.STOPPED, ChannelState.PAUSED)
        kinds = session.exec(select(PassType.id).order_by(col(PassType.id))).all()
        for kind, state in zip(kinds, states, strict=True):
            session.add(PushChannel(pass_type_id=kind, state=state, since=desk.now, retry_at=later))
    heard: list[str] = []
    desk.database = Database(desk.database.url, on_commit=heard.append)
    request.addfinalizer(desk.database.close)
    for number, pass_type in ((0, PASS_TYPE), (1, "pass.com.example.gift")):
        newer = with_key(number=number, pass_type=pass_type, at=desk.now + timedelta(minutes=1))
        desk.bring(newer)
    with desk.database.write_tx() as session:
        found = session.execute(text("SELECT retry_at FROM push_channels ORDER BY pass_type_id"))
        assert list(found.scalars()) == [desk.now, later]
        # A stop that only the operator ends is not tried again.
        session.execute(text("UPDATE push_channels SET state = 'stopped', retry_at = NULL"))
        for kind in session.exec(select(PassType.id)).all():
            renewal.resume_pushes(session, kind, desk.now)
        found = session.execute(text("SELECT retry_at FROM push_channels"))
        assert list(found.scalars()) == [None, None]
    assert "walletsvc_pushes" in heard
    desk.database.close()


def test_a_template_with_nfc_needs_a_certificate_for_it(desk: Desk) -> None:
    """Passes lose the field otherwise, which stops nothing: the check warns, an import refuses."""
    set_nfc = text("UPDATE template_versions SET description = description || CAST(:nfc AS jsonb)")
    desk.bring(with_key())
    with desk.database.write_tx() as session:
        shop = make_shop(session, desk.now)
        kind = session.exec(select(PassType).where(PassType.identifier == PASS_TYPE)).one()
        session.execute(
            text("UPDATE pass_templates SET pass_type_id = :kind WHERE id = :id"),
            {"kind": kind.id, "id": shop.template.id},
        )
        session.execute(text("DELETE FROM pass_types WHERE id = :id"), {"id": shop.pass_type.id})
        # As a template is stored that has no NFC.
        session.execute(set_nfc, {"nfc": '{"nfc": null}'})
    assert desk.problems() == []
    with desk.database.write_tx() as session:
        session.execute(set_nfc, {"nfc": '{"nfc": {"message": "{card_number}"}}'})
    (problem,) = desk.problems()
    assert problem.severity is identity.Severity.WARNING
    assert "NFC field" in problem.message
    soon = desk.now + timedelta(minutes=1)
    with pytest.raises(ConfigurationError, match="NFC field"):
        desk.bring(with_key(number=1, at=soon))
    desk.bring(with_key(number=1, at=soon, common="Pass Type ID with NFC: "))
    assert desk.problems() == []
    assert desk.rows()[-1].state is CertificateState.ACTIVE
