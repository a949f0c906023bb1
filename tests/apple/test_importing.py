"""Importing a certificate: all checks before the first write, and nothing is half-done."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from sqlalchemy import text
from sqlmodel import col, select

from tests.apple.authority import PASS_TYPE, TEAM, apple, some_key, with_key
from tests.apple.material import pem
from tests.factories import make_shop
from walletsvc.apple import devcerts, identity, importing, renewal
from walletsvc.apple.bundles import Bundle
from walletsvc.apple.importing import Imported, Outcome
from walletsvc.apple.models import (
    CertificateState,
    ChannelState,
    PushChannel,
    SigningCertificate,
)
from walletsvc.apple.signing_requests import pending, request
from walletsvc.core.actor import SYSTEM
from walletsvc.core.errors import ConfigurationError
from walletsvc.passes.models import PassType
from walletsvc.settings import Settings, load
from walletsvc.storage.engine import Database

ALL = (apple().wwdr,)


@dataclass
class Desk:
    """An operator's hands: an installation that trusts our Apple, and a clock."""

    database: Database
    settings: Settings
    now: datetime

    def ask(self) -> bytes:
        with self.database.write_tx() as session:
            return request(session, self.settings, pass_type=PASS_TYPE, team=TEAM).pem

    def bring(self, bundle: Bundle, **options: object) -> Imported:
        with self.database.write_tx() as session:
            return importing.import_certificate(
                session, self.settings, bundle, actor=SYSTEM, now=self.now, **options  # type: ignore[arg-type]
            )  # fmt: skip

    def renew(self, number: int, at: datetime | None = None) -> Bundle:
        """Import a certificate with the key of this number; returns it without the key."""
        bundle = with_key(number=number, at=at or self.now)
        self.bring(bundle)
        return replace(bundle, key=None)

    def rows(self) -> list[SigningCertificate]:
        with self.database.read_tx() as session:
            return list(
                session.exec(select(SigningCertificate).order_by(col(SigningCertificate.id)))
            )

    def states(self) -> list[str]:
        return [row.state.value for row in self.rows()]

    def problems(self) -> list[identity.Problem]:
        with self.database.read_tx() as session:
            return identity.check(session, self.settings, self.now)

    def signs(self) -> x509.Certificate:
        with self.database.read_tx() as session:
            kind = session.exec(select(PassType.id)).one()
            return identity.load(session, self.settings, kind, self.now).certificate

    def files(self) -> dict[Path, bytes]:
        found = self.settings.certs_dir.rglob("*")
        return {path: path.read_bytes() for path in found if path.is_file()}


@pytest.fixture(name="desk")
def desk_fixture(database: Database, tmp_path: Path, now: datetime) -> Desk:
    settings = load(data_dir=tmp_path / "data")
    apple().trusted_by(settings)
    return Desk(database, settings, now)


def test_apples_answer_finds_its_key(desk: Desk) -> None:
    """Nothing but the certificate is needed: pass type and team are read from it."""
    leaf = apple().answer(desk.ask())
    done = desk.bring(Bundle("pass.cer", (leaf, *ALL), None), pass_type=PASS_TYPE, team=TEAM)
    assert (done.pass_type, done.outcome, done.job) == (PASS_TYPE, Outcome.ACTIVATED, None)
    assert desk.problems() == []
    assert desk.signs() == leaf
    with desk.database.read_tx() as session:
        kind = session.exec(select(PassType)).one()
        assert (kind.identifier, kind.team_identifier) == (PASS_TYPE, TEAM)
        assert (kind.epoch, kind.generation) == (int(desk.now.timestamp()), 0)
        assert pending(session, desk.settings) == []


def test_a_key_that_comes_along_is_kept_private(desk: Desk) -> None:
    """The row carries the intermediate, so that no other file is needed later."""
    done = desk.bring(with_key())
    path = desk.settings.certs_dir / done.row.key_file
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(desk.settings.certs_dir.stat().st_mode) == 0o700
    assert done.row.chain_pem == pem(apple().wwdr).decode()
    assert desk.problems() == []


def test_the_same_again_changes_nothing(desk: Desk) -> None:
    """An operator who is not sure runs it twice."""
    bundle = with_key()
    desk.bring(bundle)
    before = desk.files()
    assert desk.bring(bundle).outcome is Outcome.ACTIVE_ALREADY
    assert desk.bring(replace(bundle, key=None)).outcome is Outcome.ACTIVE_ALREADY
    assert desk.states() == ["active"]
    assert desk.files() == before


def _expired(desk: Desk) -> Bundle:
    return with_key(at=desk.now - timedelta(days=366))


def _open_key(desk: Desk) -> Bundle:
    leaf = apple().answer(desk.ask())
    (path,) = desk.settings.certs_dir.glob("*.key")
    path.chmod(0o644)
    return Bundle("pass.cer", (leaf, *ALL), None)


def _other_team(desk: Desk) -> Bundle:
    desk.bring(with_key())
    return with_key(number=1, team="ZZZZZ12345", at=desk.now + timedelta(seconds=1))


def _fake(desk: Desk) -> Bundle:
    return with_key(apple("G4", 7))


REFUSED: dict[str, tuple[Callable[[Desk], Bundle], tuple[str, ...]]] = {
    "expired": (_expired, ("expired on 2026-11-19", "certs csr")),
    "not valid yet": (
        lambda desk: with_key(at=desk.now + timedelta(days=1)),
        ("valid only from 2026-11-21", "Check the clock"),
    ),
    "no key": (
        lambda _: replace(with_key(), key=None),
        ("private key is not among the keys in", "certs csr", "--key"),
    ),
    "another key": (
        lambda _: replace(with_key(), key=some_key(1)),
        ("key in the file does not belong to the certificate",),
    ),
    "a key open to others": (_open_key, ("open to other users", "chmod 600")),
    "another team": (_other_team, ("belongs to the team ZZZZZ12345", f"for the team {TEAM}")),
    "another root": (_fake, ("does not lead to Apple's root",)),
    "no intermediate": (
        lambda _: Bundle("f", with_key(apple("G6")).certificates[:1], some_key()),
        ("needed: generation G6; present: G4", "Download", "certs import"),
    ),
    "another generation": (
        lambda _: Bundle("f", (with_key(apple("G6")).certificates[0], *ALL), some_key()),
        ("needed: generation G6; present: G4",),
    ),
    "the first generation": (
        lambda _: Bundle("f", with_key(apple("G1")).certificates[:1], some_key()),
        ("needed: generation G1",),
    ),
    "a site's certificate": (
        lambda _: with_key(pass_type="web.com.example", common="Website Push ID: "),
        ("is not a Pass Type ID certificate but", "web.com.example"),
    ),
    "two certificates": (
        lambda _: Bundle(
            "f", with_key().certificates + with_key(pass_type="pass.com.b").certificates, None
        ),
        ("holds 2 Pass Type ID certificates", "pass.com.b", "one by one"),
    ),
    "only a key": (lambda _: Bundle("f", (), some_key()), ("only a private key",)),
    "a bad team": (lambda _: with_key(team="x"), ("'x' is not a team identifier",)),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_told_and_nothing_is_written(desk: Desk, name: str) -> None:
    """In words, with what to do; neither files nor rows change."""
    make, words = REFUSED[name]
    bundle = make(desk)
    files, states = desk.files(), desk.states()
    with pytest.raises(ConfigurationError) as refused:
        desk.bring(bundle)
    for part in words:
        assert part in refused.value.detail
    assert "\n" not in refused.value.detail
    assert (desk.files(), desk.states()) == (files, states)
    with desk.database.read_tx() as session:
        assert len(session.exec(select(PassType)).all()) == len(states)


def test_everything_that_is_wrong_is_told_at_once(desk: Desk) -> None:
    """Nobody should have to find it one by one."""
    bundle = replace(with_key(apple("G6"), at=desk.now - timedelta(days=400)), key=None)
    bundle = replace(bundle, certificates=bundle.certificates[:1])
    with pytest.raises(ConfigurationError) as refused:
        desk.bring(bundle)
    for part in ("expired on", "generation G6", "not among the keys"):
        assert part in refused.value.detail


@pytest.mark.parametrize(
    ("option", "value"), [("pass_type", "pass.com.example.gift"), ("team", "ZZZZZ12345")]
)
def test_options_only_confirm(desk: Desk, option: str, value: str) -> None:
    """A certificate for another pass type is not imported by mistake."""
    with pytest.raises(ConfigurationError, match=f"not {value}"):
        desk.bring(with_key(), **{option: value})
    assert desk.rows() == []


def test_a_newer_generation_is_imported_first(desk: Desk, now: datetime) -> None:
    """The intermediate is kept as a file; then certificates that it issued are welcome."""
    newer = apple("G6")
    wwdr = Bundle("AppleWWDRCAG6.cer", (newer.wwdr,), None)
    assert importing.holds_only_authorities(wwdr)
    (path,) = importing.import_authorities(desk.settings, wwdr, now)
    assert path.name.startswith("AppleWWDRCAG6-")
    bundle = with_key(newer)
    desk.bring(replace(bundle, certificates=bundle.certificates[:1]))
    assert desk.problems() == []


def test_a_foreign_intermediate_is_not_kept(desk: Desk, now: datetime) -> None:
    """Whoever wants to be an authority must have been made one by Apple's root."""
    with pytest.raises(ConfigurationError, match="was not issued by Apple's root"):
        importing.import_authorities(desk.settings, Bundle("f", (apple("G4", 7).wwdr,), None), now)
    assert not list(desk.settings.certs_dir.glob("*.pem"))


def test_a_crash_between_key_and_row_leaves_nothing_half_done(desk: Desk) -> None:
    """The key waits as a pending one; the same import finishes the work."""
    bundle = with_key()

    class Crash(Exception):
        pass

    with pytest.raises(Crash), desk.database.write_tx() as session:
        importing.import_certificate(session, desk.settings, bundle, actor=SYSTEM, now=desk.now)
        raise Crash
    assert desk.rows() == []
    (path,) = desk.settings.certs_dir.glob("*.key")
    with desk.database.read_tx() as session:
        assert [p.path for p in pending(session, desk.settings)] == [path]
    assert desk.bring(bundle).row.key_file == path.name
    assert list(desk.settings.certs_dir.glob("*.key")) == [path]


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


def test_pushes_that_had_stopped_are_tried_at_once(desk: Desk) -> None:
    """Not after the quarter of an hour that a fault of configuration costs; a pause of the
    operator's stays."""
    desk.bring(with_key())
    desk.bring(with_key(number=1, pass_type="pass.com.example.gift"))
    later = desk.now + timedelta(minutes=15)
    with desk.database.write_tx() as session:
        states = (ChannelState.STOPPED, ChannelState.PAUSED)
        for kind, state in zip(session.exec(select(PassType.id)).all(), states, strict=True):
            session.add(PushChannel(pass_type_id=kind, state=state, since=desk.now, retry_at=later))
    heard: list[str] = []
    desk.database = Database(desk.database.url, on_commit=heard.append)
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
