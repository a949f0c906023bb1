"""docs/pos-integration.md works as it stands, and so does the till that it points to."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from werkzeug.serving import make_server
from werkzeug.test import run_wsgi_app

from tests.api.conftest import Api
from tests.certificates.shop import gift_programme
from tests.sales.shop import BOOK, TILL
from walletsvc.access.rules import Scope
from walletsvc.programmes import versions
from walletsvc.programmes.rulebook.schemas import RuleBook

DOCS = Path(__file__).parent.parent.parent / "docs"
STEP = re.compile(r"((?:<!-- [^\n]+ -->\n)*)```sh\n(.+?)```", re.DOTALL)
PAGES = ("pos-integration.md", "ru/pos-integration.md")


@pytest.fixture
def served(api: Api) -> Iterator[dict[str, str]]:
    """The interface on a real port, and what a reader of the page has at hand."""
    at = api.now - timedelta(days=7)
    with api.database.write_tx() as session:
        gift_programme(session, api.shop.organisation.id, api.now)
        versions.save_draft(
            session, api.shop.programme, RuleBook.model_validate(BOOK), TILL, "", at
        )
        versions.publish(session, api.shop.programme, TILL, at)
    card = api.member()["card"]
    api.adjust(card["id"], 300)
    issued = api.call(
        "POST",
        "/certificates",
        json={"programme": "gift", "amount": 100_000},
        headers={"Idempotency-Key": "gift"},
    ).get_json()
    server = make_server("127.0.0.1", 0, api.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield {
        "API": f"http://127.0.0.1:{server.server_port}/api/v1",
        "KEY": api.key(Scope.SALES_READ, Scope.SALES_WRITE, Scope.HOLDS_WRITE),
        "CARD_NUMBER": card["number"],
        "CERTIFICATE_CODE": issued["code"],
        "CARD_ID": card["id"],
    }
    server.shutdown()
    thread.join()
    server.server_close()


def _at(answer: Any, path: str) -> str:
    for name in path.split("."):
        answer = answer[int(name)] if name.isdigit() else answer[name]
    return str(answer)


@pytest.mark.parametrize("page", PAGES)
def test_the_page_works_from_top_to_bottom(served: dict[str, str], page: str) -> None:
    """Every command, in order; what the page says to keep is kept, what it says comes true."""
    known = {"PATH": "/usr/local/bin:/usr/bin:/bin", **served}
    steps = STEP.findall((DOCS / page).read_text(encoding="utf-8"))
    assert len(steps) == 12
    for remarks, command in steps:
        done = subprocess.run(
            ["bash", "-euc", command], env=known, capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        for kind, said in re.findall(r"<!-- (keep|expect) (.+) -->", remarks):
            for pair in said.split():
                name, _, value = pair.partition("=")
                if kind == "keep":
                    known[name] = _at(answer, value)
                else:
                    assert _at(answer, name) == value, answer


def reference_till() -> ModuleType:
    """The module of the till that the page points to."""
    spec = importlib.util.spec_from_file_location(
        "reference_till", DOCS / "examples/reference_till.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LINES = [{"item": "tea", "sum": {"amount": 40_000, "currency": "RUB"}}]


@pytest.fixture
def till(api: Api, served: dict[str, str], tmp_path: Path) -> Any:
    """The till of the manual; it does not wait between its tries."""
    made = reference_till().Till(
        served["API"], served["KEY"], "till-1", tmp_path / "queue", wait=lambda _: None
    )
    # The clock of the tests stands still in the past; what the till says must not be the future.
    original = made.call

    def call(path: str, body: dict[str, Any], key: str | None = None) -> Any:
        return original(path, {n: v for n, v in body.items() if n != "at"}, key)

    made.call = call
    return made


def test_the_reference_till_sells_and_takes_back(till: Any, served: dict[str, str]) -> None:
    """Scan, quote, hold, sale, return."""
    card = till.scan(served["CARD_NUMBER"])["card"]["id"]
    assert till.quote(card, LINES)["most_points"] == 200
    hold = till.hold("1", card, 50)
    sold = till.sell("1", card, LINES, hold_id=hold)
    assert (sold["points"], sold["money"]["amount"]) == (50, 35_000)
    assert sold["receipt"]["text"]
    back = till.give_back("1-R", "1", "cold")
    assert (back["state"], back["points"]) == ("done", 50)
    assert list(till.queue.iterdir()) == []
    with pytest.raises(Exception, match=r"returned|left|return"):
        till.give_back("1-R2", "1", "cold")
    assert list(till.queue.iterdir()) == []


def test_the_reference_till_keeps_what_a_revoked_key_cannot_send(api: Api, till: Any) -> None:
    """With another key, and at the right address, the same sale goes through."""
    good, right = till.key, till.api
    cards = api.key(Scope.CARDS_READ)
    for number, (key, address) in enumerate(
        [("wsk_revoked", right), (cards, right), (good, f"{right}/elsewhere")]
    ):
        till.key, till.api = key, address
        with pytest.raises(Exception, match="/purchases") as told:
            till.sell(str(number), None, LINES)
        assert type(told.value).__name__ == "OperatorNeeded"
        assert len(list(till.queue.iterdir())) == number + 1
    till.key, till.api = good, right
    assert till.send_what_is_left() == 3
    assert list(till.queue.iterdir()) == []


def test_the_reference_till_survives_a_network_that_dies(
    api: Api, till: Any, served: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is lost after the work was done, and then the whole network: sold once."""
    whole: Any = api.app.wsgi_app
    broken = {"left": 2}

    def lose(environ: Any, start_response: Any) -> Any:
        if not broken["left"]:
            return whole(environ, start_response)
        broken["left"] -= 1
        run_wsgi_app(whole, environ, buffered=True)
        start_response("503 SERVICE UNAVAILABLE", [("Content-Length", "2")])
        return [b"{}"]

    monkeypatch.setattr(api.app, "wsgi_app", lose)
    card = served["CARD_ID"]
    sold = till.sell("1", card, LINES, points=50)
    assert sold["points"] == 50
    broken["left"] = till.tries
    with pytest.raises(Exception, match="/purchases"):
        till.sell("2", card, LINES, points=50)
    assert len(list(till.queue.iterdir())) == 1
    assert till.send_what_is_left() == 1
    assert list(till.queue.iterdir()) == []
    broken["left"] = till.tries
    with pytest.raises(Exception, match="/purchases"):
        till.sell("3", card, LINES, points=9_000)
    broken["left"] = till.tries
    with pytest.raises(Exception, match="/purchases"):
        till.sell("4", card, LINES)
    assert till.send_what_is_left() == 1
    (aside,) = till.queue.iterdir()
    assert (aside.suffix, "3-purchase" in aside.name) == (".refused", True)
    assert till.send_what_is_left() == 0
    items = api.call("GET", "/purchases").get_json()["items"]
    assert [each["external_id"] for each in items] == ["4", "2", "1"]
    left = api.call("GET", f"/cards/{card}").get_json()["balance"]
    assert left == 300 - 100 + sum(each["earned"] for each in items)
