"""Rolling codes on Apple passes: taken at a till, changed on the phone, then over."""

from __future__ import annotations

from typing import Any

from sqlmodel import select

from tests.apple.conftest import Service, pass_json
from tests.apple.test_spreading import holders, newest, run_jobs
from tests.factories import TILL, make_member
from walletsvc.jobs.bulk import BulkState
from walletsvc.passes.code_policies import switch
from walletsvc.passes.models import PassEvent
from walletsvc.programmes.models import CodePolicy, Programme
from walletsvc.sales.sale import Caller
from walletsvc.sales.scanning import Scanned, scan


def ask(service: Service, policy: CodePolicy) -> None:
    """The shop's cards show codes by this policy, and the job for it is done."""
    with service.database.write_tx() as session:
        programme = session.get_one(Programme, service.shop.programme.id)
        assert switch(session, programme, policy, actor=TILL, now=service.clock()) is not None
    run_jobs(service)


def fetch(service: Service, index: int = 0) -> str:
    """What a scanner reads from the pass that a phone fetches."""
    answer = service.client.get(service.pass_url(index), headers=service.auth(index))
    assert answer.status_code == 200
    barcodes: Any = pass_json(answer.data)["barcodes"]
    return str(barcodes[0]["message"])


def read(service: Service, text: str) -> Scanned:
    """Scan it."""
    with service.database.write_tx() as session:
        return scan(
            session, Caller(service.shop.organisation.id, None, TILL), text, service.clock()
        )


def number(service: Service, index: int = 0) -> str:
    """The card's number."""
    return service.members[index][0].number


def test_the_barcode_changes_after_each_use(service: Service) -> None:
    """The phone is told, fetches the next code, and then the one before is over."""
    ask(service, CodePolicy.ROLLING)
    first = fetch(service)
    assert (first[:16], len(first)) == (number(service), 26)
    service.register()
    service.drain()
    assert service.count("pushes") == 0
    assert read(service, first).presentation is not None
    service.drain()
    assert service.count("pushes") == 1
    # Not fetched yet: the same till may go on with what the phone shows.
    assert read(service, first).problems == ()
    # Somebody looks at the card's page: that is no phone that has the new pass.
    page = service.client.get(f"/p/{service.members[0][0].link_token}.pkpass")
    assert page.status_code == 200
    assert read(service, first).problems == ()
    second = fetch(service)
    assert second != first
    assert read(service, first).problems == ("code_old",)
    assert read(service, second).presentation is not None


def test_fetching_the_same_pass_again_retires_nothing(service: Service) -> None:
    """The pass that has the old code is not one with a newer."""
    ask(service, CodePolicy.ROLLING)
    first = fetch(service)
    service.change(5)
    assert fetch(service) == first
    assert read(service, first).presentation is not None


def test_other_cards_codes_stay(service: Service) -> None:
    """A phone that fetches one pass says nothing of another."""
    ask(service, CodePolicy.ROLLING)
    codes = [fetch(service, index) for index in (0, 1)]
    for code in codes:
        assert read(service, code).presentation is not None
    fetch(service, 1)
    assert [read(service, code).problems for code in codes] == [(), ("code_old",)]


def test_switching_reaches_every_holder(service: Service) -> None:
    """Of cards from before too; back to numbers as well, and the timeline keeps no code."""
    holders(service)
    before = service.count("pushes")
    ask(service, CodePolicy.ROLLING)
    job = newest(service)
    assert (job.kind, job.state, job.done) == ("codes", BulkState.DONE, 5)
    assert service.count("pushes") == before + 3
    shown = {fetch(service, index) for index in (2, 3, 4)}
    assert {len(each) for each in shown} == {26}
    ask(service, CodePolicy.TIME_BASED)
    # An Apple pass cannot make codes: it says which card it is.
    assert fetch(service, 2) == number(service, 2)
    service.installation.events.flush()
    with service.database.read_tx() as session:
        told = " ".join(str(row.detail) for row in session.exec(select(PassEvent)))
    assert "@barcode" in told
    assert not any(each[16:] in told for each in shown)


def test_a_card_that_is_issued_afterwards_has_its_code(service: Service) -> None:
    """Without any job."""
    ask(service, CodePolicy.ROLLING)
    with service.database.write_tx() as session:
        made = make_member(session, service.shop, service.clock(), phone="+79005000000")
        service.members.append(made)
    assert len(fetch(service, 2)) == 26


def test_a_card_that_the_job_has_not_reached_shows_its_number(service: Service) -> None:
    """And is no error."""
    with service.database.write_tx() as session:
        programme = session.get_one(Programme, service.shop.programme.id)
        switch(session, programme, CodePolicy.ROLLING, actor=TILL, now=service.clock())
    assert fetch(service) == number(service)
    run_jobs(service)
    assert len(fetch(service)) == 26
