"""A base of cards that was kept elsewhere: dry run, run, undoing."""

from __future__ import annotations

import importlib
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlmodel import select

from tests.enrolment.importing.desk import Desk, open_desk
from tests.factories import TILL, make_member
from walletsvc.cards.models import Card
from walletsvc.core.actor import OPERATOR
from walletsvc.core.errors import Conflict, InputError
from walletsvc.core.money import MAX_AMOUNT
from walletsvc.enrolment.importing import running, service
from walletsvc.enrolment.importing.models import ImportRow, ImportState, KnownMembers
from walletsvc.enrolment.importing.tasks import KEPT, forget, handlers
from walletsvc.enrolment.personal.export import export
from walletsvc.jobs.bulk import BulkJob
from walletsvc.jobs.bulk.runner import Runner
from walletsvc.ledger import service as ledger
from walletsvc.people.models import Person
from walletsvc.storage.engine import Database

LIST = """Номер карты;Телефон;ФИО;Дата рождения;Баланс;Оборот;Уровень;E-mail
1001;8 900 000-00-01;Орлова Анна;01.02.1990;100;1500,00;;anna@example.com
1002;+79000000002;Орлов Пётр;;50;;gold;
1003;+79000000001;Орлова Анна;;7;;;
1004;;;;20;;;
1005;+79000000002;Орлова Мария;;0;;;
"""
GOOD = [
    ("", ["1004"], 20, None, 0),
    ("Анна Орлова", ["1001", "1003"], 107, "gold", 150_000),
    ("Мария Орлова", ["1005"], 0, None, 0),
    ("Пётр Орлов", ["1002"], 50, "gold", 0),
]


@pytest.fixture
def desk(database: Database, now: datetime) -> Desk:
    return open_desk(database, now)


def everything(desk: Desk) -> dict[str, list[tuple[object, ...]]]:
    """What an import could leave behind; of the ledger, what there is of each unit."""
    return {
        "persons": desk.ask("SELECT * FROM persons WHERE erased_at IS NULL ORDER BY id"),
        "phones": desk.ask("SELECT e164 FROM phones ORDER BY 1"),
        "held": desk.ask("SELECT * FROM person_phones ORDER BY 1, 2"),
        "cards": desk.ask("SELECT id, account_id FROM cards WHERE closed_at IS NULL ORDER BY id"),
        "numbers": desk.ask("SELECT number FROM plastic_numbers ORDER BY 1"),
        "balances": desk.ask(
            "SELECT id, balance, held FROM accounts"
            " WHERE kind <> 'system' AND closed_at IS NULL ORDER BY 1"
        ),
        "issued": desk.ask(
            "SELECT coalesce(sum(e.amount), 0) FROM ledger_entries e"
            "  JOIN accounts a ON a.id = e.account_id WHERE a.code = 'issuance'"
        ),
        "turnover": desk.ask("SELECT * FROM turnover WHERE amount <> 0 ORDER BY 1, 2, 3"),
        "brought": desk.ask("SELECT * FROM brought_turnover"),
        "tiers": desk.ask("SELECT account_id, tier FROM account_tiers WHERE base <> 0 ORDER BY 1"),
    }


@pytest.mark.parametrize("size", [1, 2, None])
def test_a_list_comes_in_and_goes_out_again(
    desk: Desk, size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the size of the pieces; then it can come in again."""
    monkeypatch.setattr(running, "LEAST", 1)
    before = everything(desk)
    found = desk.check(LIST, size)
    assert everything(desk) == before
    assert found.state is ImportState.CHECKED
    assert found.figures["ready"] == 5
    assert found.figures["ready_balance"] == found.figures["file_balance"] == 177
    assert (found.figures["several_cards"], found.figures["shared_phones"]) == (1, 1)
    for _ in range(2):
        done = desk.run(found, size)
        assert done.state is ImportState.DONE
        assert desk.balances() == GOOD
        assert desk.ask("SELECT count(*) FROM changes WHERE lane = 0") == [(0,)]
        assert desk.ask("SELECT count(*) FROM passes WHERE published_at IS NULL")[0][0] >= 4
        assert desk.clean()
        gone = desk.undo(found, size)
        assert gone.state is ImportState.UNDONE
        assert set(desk.outcomes(found).values()) == {"undone"}
        assert everything(desk) == before
        assert desk.clean()
        found = desk.check(LIST, size)
        assert found.figures["ready"] == 5


def test_the_points_end_by_the_rules_or_when_it_is_said(desk: Desk) -> None:
    """Source and reason say where they are from."""
    found = desk.check("card;points\n1001;5\n")
    desk.run(found)
    told = desk.ask(
        "SELECT l.source, l.expires_at::text, t.reason, t.actor FROM lots l"
        " JOIN ledger_transactions t ON t.id = l.transaction_id"
    )
    assert told == [("import", "2027-11-20 21:00:00+00", "Old base", str(OPERATOR))]


def test_every_bad_row_is_named_and_never_quoted(desk: Desk) -> None:
    """By line, column and code; the sum tells what is left out."""
    found = desk.check(
        "card,phone,first name,birthday,balance,tier,e-mail,language\n"
        "1,,,,5,,,\n"
        "1001,12345,,,5,,,\n"
        "1002,,,31.02.1990,5,,,\n"
        "1003,,,01.01.2090,5,,,\n"
        "1004,,,,-5,,,\n"
        "1005,,,,0.5,,,\n"
        "1006,,,,5,platinum,,\n"
        "1007,,,,5,,anna,de\n"
        ",,Anna,,5,,,\n"
        "1008,,,,5,GOLD,,EN,more\n"
        "1009,,,,5,GOLD,,EN\n"
    )
    assert desk.problems(found) == {
        2: ["number:invalid_format"],
        3: ["phone:invalid_phone"],
        4: ["birthday:invalid_date"],
        5: ["birthday:out_of_range"],
        6: ["balance:invalid_format"],
        7: ["balance:invalid_format"],
        8: ["tier:unknown"],
        9: ["email:invalid_format", "language:not_allowed"],
        10: ["number:required"],
        11: [":too_long"],
    }
    assert (found.figures["bad"], found.figures["ready"]) == (10, 1)
    assert (found.figures["file_balance"], found.figures["ready_balance"]) == (45, 5)
    assert found.figures["unreadable_balances"] == 2


def test_thousands_are_no_decimals(desk: Desk) -> None:
    """A thousand points are not brought in as one, nor a turnover of 1,250 roubles as 1.25."""
    found = desk.check(
        "card,first name,balance,turnover\n"
        '1001,Anna,"1,000",\n'
        "1002,Anna,2.000,\n"
        '1003,Anna,1,"1,250"\n'
        '1004,Anna,1 000,"1250,50"\n'
    )
    assert desk.problems(found) == {
        2: ["balance:invalid_format"],
        3: ["balance:invalid_format"],
        4: ["turnover:invalid_format"],
    }
    assert found.figures["ready_balance"] == 1_000
    told = desk.ask("SELECT problems->0->>2 FROM import_rows WHERE row = 2")
    assert "without thousands separators" in str(told)


def test_what_is_there_twice_goes_in_once_or_not_at_all(desk: Desk) -> None:
    """The same line again is left out; of lines that differ nobody knows which is right."""
    found = desk.check(
        "card,phone,first name,balance\n"
        "1001,,Anna,5\n"
        "10-01,,Anna,5\n"
        "1002,,Anna,5\n"
        "1002,,Anna,6\n"
        ",+79000000001,Anna,7\n"
        ",89000000001,anna,8\n"
    )
    assert desk.outcomes(found) == {
        2: "ready", 3: "duplicate", 4: "duplicate", 5: "duplicate", 6: "duplicate",
        7: "duplicate",
    }  # fmt: skip
    assert desk.problems(found)[3] == ["number:repeated"]
    assert desk.problems(found)[7] == ["phone:ambiguous"]
    desk.run(found)
    again = desk.check("card,first name,balance\n1001,Anna,5\n1003,Anna,5\n")
    assert desk.outcomes(again) == {2: "known", 3: "ready"}


def test_who_is_a_member_already_keeps_the_card(desk: Desk) -> None:
    """What is on the plastic comes onto it, or is left out; undone it is as before."""
    with desk.database.write_tx() as session:
        card, _ = make_member(session, desk.shop, desk.now, phone="+79000000001")
        ledger.credit(
            session, card.account_id, 30, source="test", actor=TILL, reason="", now=desk.now,
            card_id=card.id,
        )  # fmt: skip
    before = everything(desk)
    rows = "card,phone,first name,balance,turnover\n1001,89000000001,АННА,5,2000\n"
    left_out = desk.check(rows, known_members=KnownMembers.SKIP)
    assert desk.problems(left_out) == {2: ["phone:member_known"]}
    found = desk.check(rows)
    desk.run(found)
    assert desk.outcomes(found) == {2: "joined"}
    assert desk.balances() == [("Анна", ["1001"], 35, "gold", 200_000)]
    desk.undo(found)
    assert desk.balances() == [("Анна", [], 30, "bronze", 0)]
    assert everything(desk) == before
    assert desk.clean()


def test_what_is_in_use_by_then_is_left_alone_and_told(desk: Desk) -> None:
    """Spent from, claimed, and joined by a purchase: each with its reason; the rest goes."""
    found = desk.run(desk.check(LIST))
    with desk.database.write_tx() as session:
        spent = session.exec(
            select(Card).join(ImportRow).where(ImportRow.row == 3)  # 1002
        ).one()
        ledger.debit(
            session, spent.account_id, 1, actor=TILL, reason="", now=desk.now, card_id=spent.id
        )
    gone = desk.undo(found)
    assert desk.outcomes(gone) == {2: "undone", 3: "kept", 4: "undone", 5: "undone", 6: "undone"}
    assert desk.problems(gone) == {3: [":in_use"]}
    assert desk.balances() == [("Пётр Орлов", ["1002"], 49, "gold", 0)]
    assert desk.clean()
    with desk.database.write_tx() as session, pytest.raises(Conflict):
        service.run(
            session, gone, expected_total=177, digest=gone.digest, actor=OPERATOR,
            now=desk.now,
        )  # fmt: skip
    again = desk.undo(found)
    assert desk.outcomes(again)[3] == "kept"


def test_another_sum_or_file_is_not_run(desk: Desk) -> None:
    found = desk.check(LIST)
    for total, digest in ((178, found.digest), (177, b"another")):
        with desk.database.write_tx() as session, pytest.raises(InputError):
            service.run(
                session, found, expected_total=total, digest=digest, actor=OPERATOR,
                now=desk.now,
            )  # fmt: skip


def test_what_came_after_the_dry_run_is_seen(desk: Desk) -> None:
    """A number that another list brought meanwhile is left out, and nothing of it counted."""
    first, second = desk.check(LIST), desk.check(LIST)
    desk.run(first)
    done = desk.run(second)
    assert set(desk.outcomes(done).values()) == {"known"}
    assert desk.balances() == GOOD
    desk.undo(second)
    assert desk.balances() == GOOD


def test_what_does_not_go_onto_a_card_any_more_is_left_out_and_told(desk: Desk) -> None:
    """Accounts that got full or were closed after the dry run: with their rows nothing came."""
    with desk.database.write_tx() as session:
        full, _ = make_member(session, desk.shop, desk.now, name="Анна", phone="+79000000001")
        shut, _ = make_member(session, desk.shop, desk.now, name="Пётр", phone="+79000000002")
    found = desk.check(
        "card;phone;name;points;turnover\n1001;+79000000001;Анна;5;1500\n"
        "1002;+79000000002;Пётр;5;1500\n1003;+79000000001;Анна;0;\n1004;+79000000003;Мария;5;\n"
    )
    with desk.database.write_tx() as session:
        ledger.credit(
            session, full.account_id, MAX_AMOUNT - 4, source="test", actor=TILL, reason="",
            now=desk.now,
        )  # fmt: skip
        ledger.close_empty(session, [shut.account_id], desk.now)
    desk.run(found)
    assert desk.outcomes(found) == {2: "known", 3: "known", 4: "joined", 5: "created"}
    assert desk.problems(found) == {2: ["balance:full"], 3: ["phone:card_closed"]}
    assert desk.balances() == [
        ("Анна", ["1003"], MAX_AMOUNT - 4, None, 0),
        ("Мария", ["1004"], 5, None, 0),
        ("Пётр", [], 0, None, 0),
    ]
    assert desk.clean()


def test_a_piece_that_fails_leaves_nothing_and_is_done_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dying after everything but the row's outcome: no card, no number, no point twice."""
    found = desk.check(LIST)
    with desk.database.write_tx() as session:
        job = service.run(
            session, found, expected_total=177, digest=found.digest, actor=OPERATOR, now=desk.now
        )  # fmt: skip
        again = service.run(
            session, found, expected_total=177, digest=found.digest, actor=OPERATOR, now=desk.now
        )  # fmt: skip
        assert again.id == job.id
    before = everything(desk)

    class Died(Exception):
        pass

    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(running._Row, "values", die)
        with pytest.raises(Died), desk.database.write_tx() as session:
            running.run_piece(session, session.get_one(BulkJob, job.id), 10, desk.now)
    assert everything(desk) == before
    desk.work()
    assert desk.balances() == GOOD
    desk.work()
    assert desk.balances() == GOOD


def test_undone_while_it_runs_no_more_comes_in(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was in by then goes; the rest never came."""
    monkeypatch.setattr(running, "LEAST", 1)
    found = desk.check(LIST)
    before = everything(desk)
    with desk.database.write_tx() as session:
        service.run(
            session, found, expected_total=177, digest=found.digest, actor=OPERATOR, now=desk.now
        )  # fmt: skip
    runner = Runner(desk.database, handlers(), clock=lambda: desk.now)
    runner._sizes["import"] = 2
    runner.run_once()
    assert len(desk.balances()) == 2
    gone = desk.undo(found)
    assert desk.outcomes(gone) == {2: "undone", 3: "undone", 4: "ready", 5: "ready", 6: "ready"}
    assert everything(desk) == before
    assert desk.clean()


def test_a_claimed_card_and_one_in_a_wallet_are_in_use(desk: Desk) -> None:
    """And so is one whose holder proved the phone; the report says so."""
    found = desk.run(desk.check(LIST))
    for statement in (
        "UPDATE plastic_numbers SET claimed_at = now() WHERE number = '1002'",
        (
            "UPDATE passes SET downloaded_at = now() WHERE card_id ="
            " (SELECT card_id FROM plastic_numbers WHERE number = '1004')"
        ),
        (
            "UPDATE person_phones SET verified_at = now() WHERE person_id ="
            " (SELECT id FROM persons WHERE first_name = 'Мария')"
        ),
    ):
        with desk.database.write_tx() as session:
            session.execute(text(statement))
    gone = desk.undo(found)
    assert desk.outcomes(gone) == {2: "undone", 3: "kept", 4: "undone", 5: "kept", 6: "kept"}
    told = desk.ask(
        "SELECT problems #>> '{0,2}' FROM import_rows WHERE outcome = 'kept' ORDER BY row"
    )
    assert [why for (why,) in told] == [
        "the card was claimed", "the card is in a wallet", "its holder proved their phone",
    ]  # fmt: skip
    assert desk.clean()


def test_lists_that_nobody_ran_are_forgotten(desk: Desk) -> None:
    """After a month; those that were run know only what they became."""
    idle = desk.check(LIST)
    done = desk.run(desk.check(LIST))
    with desk.database.write_tx() as session:
        forget(session, desk.now + KEPT + timedelta(seconds=1))
    assert desk.ask("SELECT DISTINCT import_id FROM import_rows") == [(done.id,)]
    assert desk.ask("SELECT id FROM imports WHERE id = :id", id=idle.id) == []
    assert desk.ask("SELECT 1 FROM import_rows WHERE cells IS NOT NULL OR given IS NOT NULL") == []


REGISTERED = "SELECT card_id, way, actor, welcome_due FROM card_registrations ORDER BY 1"


def test_where_an_imported_card_came_from_is_written_down(desk: Desk) -> None:
    """Of cards that the list made, not of one that was there; the export tells it; undone it is
    gone, and brought in again it is there again."""
    with desk.database.write_tx() as session:
        card, _ = make_member(session, desk.shop, desk.now, "Борис", "+79000000002")
    before = desk.ask(REGISTERED)
    raw = """card;phone;name;points
1001;+79000000001;Анна;5
1002;+79000000001;Анна;5
1003;+79000000002;Борис;5
"""
    found = desk.run(desk.check(raw))
    (made,) = [row for row in desk.ask(REGISTERED) if row not in before]
    assert (made[0] != card.id, made[1:]) == (True, ("import", str(OPERATOR), False))
    with desk.database.read_tx() as session:
        anna = session.exec(select(Person).where(Person.first_name == "Анна")).one()
        (told,) = export(session, anna)["card_registrations"]
        assert told["way"] == "import"
    assert set(desk.outcomes(desk.undo(found)).values()) == {"undone"}
    assert desk.ask(REGISTERED) == before
    desk.run(desk.check(raw))
    assert len(desk.ask(REGISTERED)) == len(before) + 1
    assert desk.clean()


def test_cards_of_former_imports_are_told_where_they_came_from(desk: Desk) -> None:
    """What the migration does with those that came in before this was written down."""
    desk.run(desk.check("card;phone;name\n1001;+79000000001;Анна\n"))
    gone = desk.run(desk.check("card;phone;name\n1002;+79000000002;Борис\n"))
    before = desk.ask(REGISTERED)[:1]
    assert len(before) == 1
    desk.undo(gone)
    migration = importlib.import_module("walletsvc.storage.migrations.versions.0027_phone_changes")
    with desk.database.write_tx() as session:
        session.execute(text("DELETE FROM card_registrations"))
        for _ in range(2):
            session.execute(text(migration.IMPORTED))
    assert desk.ask(REGISTERED) == before
