"""Importing a certificate: all checks before the first write, and nothing is half-done."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlmodel import select

from tests.apple.authority import PASS_TYPE, TEAM, apple, some_key, with_key
from tests.apple.importing.desk import ALL, Desk
from tests.apple.material import pem
from walletsvc.apple import importing
from walletsvc.apple.bundles import Bundle
from walletsvc.apple.importing import Outcome
from walletsvc.apple.signing_requests import pending
from walletsvc.core.actor import SYSTEM
from walletsvc.core.errors import ConfigurationError
from walletsvc.passes.models import PassType


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
