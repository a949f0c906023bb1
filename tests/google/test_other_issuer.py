"""The setting names another issuer than the one whose cards people hold."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from click.testing import CliRunner
from pydantic import SecretStr
from sqlmodel import select
from structlog.testing import capture_logs

from tests.cli.test_doctor_google import opened
from tests.google.desk import Desk, Holder, account_key, desk_fixture  # noqa: F401 - a fixture
from tests.google.shop import HOUSE
from tests.google.test_saving import saver
from walletsvc.cards.models import Card
from walletsvc.cli.doctor import google as doctor
from walletsvc.cli.google import google as command
from walletsvc.core.actor import OPERATOR
from walletsvc.core.clock import utcnow
from walletsvc.core.errors import Refused
from walletsvc.google import breaker, census, metrics, readiness
from walletsvc.google.dialect import GoogleDialect
from walletsvc.google.issuer import ensure_issuer, former_issuers
from walletsvc.google.sending import running
from walletsvc.google.wanted import House
from walletsvc.jobs.changes import Lane
from walletsvc.settings import Settings
from walletsvc.web.health import Findings

NEW = GoogleDialect(House("3388000000099999999", HOUSE.base_url, HOUSE.language))


@pytest.fixture(name="holder")
def holder_fixture(desk: Desk) -> Holder:
    """A card of the issuer of before; the new one is known."""
    [holder] = desk.cards(1)
    with desk.database.write_tx() as session:
        ensure_issuer(session, NEW.house.issuer_id, desk.now)
    return holder


def test_its_cards_are_neither_published_nor_due(desk: Desk, holder: Holder) -> None:
    """Nobody would send them."""
    with desk.database.write_tx() as session:
        assert NEW.held(session, [holder.pass_id]) == set()
        NEW.notify(session, [holder.pass_id], lane=Lane.INTERACTIVE, now=desk.now)
    assert desk.row(holder).due_at is None


def test_what_was_due_of_it_concerns_no_sender(desk: Desk, holder: Holder) -> None:
    """A sender woken for it would look in vain, again and again."""
    desk.change([holder], 5)
    desk.advance(timedelta(hours=1))
    with desk.database.read_tx() as session:
        old = breaker.standing(session, HOUSE.issuer_id, desk.now)
        new = breaker.standing(session, NEW.house.issuer_id, desk.now)
    assert old is not None
    assert new is not None
    assert (old.urgent, new.urgent, new.bulk, new.announcements) == (True, False, False, False)


def test_who_wants_it_again_is_refused_at_once(desk: Desk, holder: Holder) -> None:
    """No worker would insert it: the visitor would be told to try again for ever."""
    with desk.database.read_tx() as session:
        token = session.exec(select(Card)).one().link_token
    with pytest.raises(Refused, match="another issuer"):
        saver(desk, dialect=NEW).link(token)
    assert desk.row(holder).due_at is None


def test_the_doctor_says_so(desk: Desk, holder: Holder) -> None:
    """With the way back; of the issuer in the setting there is nothing to say."""
    assert holder.object_id.startswith(HOUSE.issuer_id)
    with desk.database.read_tx() as session:
        assert former_issuers(session, HOUSE.issuer_id) == {}
        assert list(doctor.former(session, HOUSE.issuer_id)) == []
        [finding] = doctor.former(session, NEW.house.issuer_id)
    assert finding.problem
    assert finding.text.startswith(f"1 card(s) are under the issuer {HOUSE.issuer_id}")
    assert "WALLETSVC_GOOGLE_ISSUER_ID" in finding.text


@pytest.fixture(name="trouble")
def trouble_fixture(desk: Desk, holder: Holder) -> Holder:
    """Of the issuer of before a card and a class are refused, cards and messages wait, all of it
    for an hour, and the operator paused it."""
    waits, quiet = desk.cards(2)
    desk.change([waits], 5)
    desk.execute(
        "INSERT INTO google_messages (pass_id, message_id, body, wants_buzz, state, lane, due_at,"
        " attempts, error, created_at) VALUES (:id, 'x', '{}', true, 'due', 0, :now, 0, '', :now)",
        id=quiet.pass_id,
    )
    desk.execute(
        "UPDATE google_objects SET error = 'Google answers 400: pin' WHERE pass_id = :id",
        id=holder.pass_id,
    )
    desk.execute("UPDATE google_classes SET error = 'Google answers 400: logo'")
    with desk.database.write_tx() as session:
        breaker.pause(session, HOUSE.issuer_id, actor=OPERATOR, now=desk.now)
    desk.advance(timedelta(hours=2))
    return holder


def test_figures_are_those_of_the_issuer_in_the_setting(desk: Desk, trouble: Holder) -> None:
    """What waits and what is refused of another one is nothing that somebody should mend."""
    old, new = HOUSE.issuer_id, NEW.house.issuer_id
    with desk.database.read_tx() as session:
        figures = breaker.figures(session, old)
        assert (figures.urgent, figures.messages, figures.refused) == (1, 1, 1)
        assert (figures.classes, figures.held, figures.bulk) == (2, 3, 0)
        assert figures.oldest_message is not None
        refused = [what for what, _ in breaker.refusals(session, old)]
        assert (len(refused), refused[-1]) == (3, trouble.object_id)
        assert breaker.figures(session, new) == (0, 0, 0, None, 0, 0, 0)
        assert breaker.refusals(session, new) == []
        assert [census.saved(session, each) for each in (old, new)] == [3, 0]


def test_of_very_many_the_saved_ones_are_about_those_of_the_issuer(
    desk: Desk, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planner's estimate, by class."""
    assert holder.object_id
    desk.cards(19)
    monkeypatch.setattr(census, "is_small", lambda _: False)
    desk.execute("ANALYZE google_objects")
    with desk.database.read_tx() as session:
        assert census.saved(session, HOUSE.issuer_id) == 20
        assert census.saved(session, NEW.house.issuer_id) <= 1  # the planner never says none


def test_readiness_says_of_another_issuer_only_that_there_is_one(
    desk: Desk, trouble: Holder
) -> None:
    """Its pause, its refusals and what waits for it would stay there for ever."""
    assert trouble.object_id.startswith(HOUSE.issuer_id)
    with desk.database.read_tx() as session:
        old = list(readiness.warnings(session, HOUSE.issuer_id, desk.now))
        new = list(readiness.warnings(session, NEW.house.issuer_id, desk.now))
    assert len(old) == 3
    for words, said in zip(("paused", "2 class", "1 object"), old, strict=True):
        assert words in said
    [said] = new
    assert said.startswith(f"Cards under the Google issuer {HOUSE.issuer_id} are not brought up")


def test_readiness_tells_of_cards_when_there_is_no_issuer_any_more(
    desk: Desk, holder: Holder
) -> None:
    """As the doctor does."""
    assert holder.object_id
    nothing = Findings([], [])
    found = readiness.examine(desk.database, Settings(google_issuer_id=""), utcnow, nothing)
    assert [line[:50] for line in found.warnings] == [
        f"Cards under the Google issuer {HOUSE.issuer_id} are not brought up"[:50]
    ]


def test_metrics_count_cards_of_the_issuer_in_the_setting(desk: Desk, trouble: Holder) -> None:
    """Of the other one there is its state, under its name."""
    assert trouble.object_id
    settings = Settings(google_issuer_id=NEW.house.issuer_id)
    with desk.database.read_tx() as session:
        found = {
            (sample.name.removeprefix("walletsvc_google_"), *sample.labels.values()): sample.value
            for family in metrics.families(session, desk.now, settings)
            for sample in family.samples
        }
    assert (found["saved",], found["classes", "refused"]) == (0, 0)
    assert (found["messages_waiting", "pass"], found["objects_waiting", "interactive", "due"]) == (
        0, 0,
    )  # fmt: skip
    assert (found["issuer_state", HOUSE.issuer_id], found["issuer_state", NEW.house.issuer_id]) == (
        2, 0,
    )  # fmt: skip


def test_the_doctor_names_no_faults_of_another_issuer(desk: Desk, trouble: Holder) -> None:
    """Nobody could put them right."""
    with desk.database.read_tx() as session:
        found = {f.about: f for f in doctor.sending(session, NEW.house.issuer_id, desk.now)}
        old = {f.about: f for f in doctor.sending(session, HOUSE.issuer_id, desk.now)}
    assert found["google sending"].text == "open"
    assert "google refuses" not in found
    assert found["google waiting"].text.startswith("0 urgent, 0 in bulk, 0 message(s); 0 pass(es)")
    assert not found["google waiting"].problem
    assert old["google waiting"].problem
    assert trouble.object_id in old["google refuses"].text


def test_the_doctor_tells_of_cards_when_there_is_no_issuer_any_more(
    desk: Desk, holder: Holder, tmp_path: Path
) -> None:
    """The setting was taken away; the cards stand still."""
    assert holder.object_id
    with opened(desk, tmp_path, google_issuer_id="", google_key=None) as installation:
        found = {f.about: f for f in doctor.examine(installation)}
    assert "WALLETSVC_GOOGLE_ISSUER_ID is not set" in found["google issuer of before"].text
    assert found["google issuer of before"].problem


def test_the_status_says_separately_that_there_is_another(
    desk: Desk, trouble: Holder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cards are counted in a line of their own."""
    assert trouble.object_id
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", desk.database.conninfo)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    monkeypatch.setenv("WALLETSVC_GOOGLE_ISSUER_ID", NEW.house.issuer_id)
    said = CliRunner().invoke(command, ["status"]).output
    lines = said.splitlines()[-5:]  # the log of the schema is before them
    assert lines[0] == f"{NEW.house.issuer_id}: sent"
    assert lines[1:4] == [
        "In wallets: 0 pass(es)",
        "Waiting: 0 urgent, 0 in bulk, 0 message(s)",
        "Refused by Google: 0 object(s), 0 class(es)",
    ]
    assert lines[4].startswith(f"{HOUSE.issuer_id}: not the issuer of WALLETSVC_GOOGLE_ISSUER_ID")
    assert "its 3 card(s)" in lines[4]


def test_a_sender_that_begins_logs_it(desk: Desk, holder: Holder) -> None:
    """Whoever changed the setting by mistake finds it in the worker's log; only then."""
    assert holder.object_id
    stop = Event()
    stop.set()

    def logged(issuer_id: str) -> list[tuple[str, int]]:
        settings = Settings(
            google_issuer_id=issuer_id,
            google_key=SecretStr(account_key()),
            google_url=desk.google.base_url,
        )
        with capture_logs() as logs:
            running.run(settings, desk.database, lambda: desk.now, stop)
        return [
            (each["issuer_id"], each["objects"])
            for each in logs
            if each["log_level"] == "error" and "another Google issuer" in each["event"]
        ]

    assert logged(NEW.house.issuer_id) == [(HOUSE.issuer_id, 1)]
    assert logged(HOUSE.issuer_id) == []
