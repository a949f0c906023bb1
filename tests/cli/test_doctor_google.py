"""`walletsvc doctor google`: every fault, produced at Google's emulator, has its exact remedy."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.oauth2 import service_account
from pydantic import SecretStr
from sqlmodel import select

from tests.cli.serving import free_port, web
from tests.cli.test_doctor_apple import answering
from tests.google.desk import Desk, desk_fixture, private_key  # noqa: F401 - a fixture
from tests.google.shop import HOUSE
from walletsvc.app import Installation, assemble
from walletsvc.app.web import create_app
from walletsvc.cli.doctor import google, google_account, google_address
from walletsvc.cli.doctor.findings import Finding
from walletsvc.core.actor import OPERATOR
from walletsvc.emulators.google.auth import OAuthError
from walletsvc.google import breaker
from walletsvc.google.client import SCOPE, Answer, GoogleClient
from walletsvc.google.issuer import ensure_class, ensure_issuer
from walletsvc.passes.models import PassTemplate
from walletsvc.settings import Settings


@contextmanager
def opened(desk: Desk, folder: Path, **changes: Any) -> Iterator[Installation]:
    """The desk's shop as an installation; its web process is to be started."""
    values: dict[str, Any] = {
        "data_dir": folder,
        "public_url": f"http://127.0.0.1:{free_port()}",
        "google_issuer_id": HOUSE.issuer_id,
        "google_key": SecretStr(json.dumps(desk.key)),
        "google_url": desk.google.base_url,
        "google_pay_url": desk.google.base_url,
    }
    installation = assemble(Settings(**values | changes), desk.database, lambda: desk.now)
    yield installation
    installation.events.close()


def examined(desk: Desk, folder: Path, **changes: Any) -> dict[str, Finding]:
    """The newest finding about each thing."""
    with opened(desk, folder, **changes) as installation:
        return {finding.about: finding for finding in google.examine(installation)}


def keyed(desk: Desk, **changes: Any) -> SecretStr:
    """The key with some of it replaced."""
    return SecretStr(json.dumps(desk.key | changes))


def problem(found: dict[str, Finding], about: str, *words: str) -> None:
    """There is one, it says this, and nothing that depends on it was tried."""
    assert found[about].problem, found
    for word in words:
        assert word in found[about].text


def test_all_is_well(desk: Desk, tmp_path: Path) -> None:
    """Every link of the chain, with a web process that answers."""
    desk.cards(1)
    with opened(desk, tmp_path) as installation:
        port = int(installation.settings.base_url.rpartition(":")[2])
        with web(create_app(installation), port):
            found = list(google.examine(installation))
    assert [finding for finding in found if finding.problem] == []
    said = {finding.about: finding.text for finding in found}
    assert said["google key"].startswith(desk.key["client_email"])
    assert said["google clock"] == "agrees with Google's"
    assert said["google token"] == "given"
    assert said["google scope"] == "accepted"
    assert said["google issuer"] == f"{HOUSE.issuer_id} (Demo shop)"
    assert said["google role"] == "may write (writer)"
    assert [f.text for f in found if f.about == "google class"] == [
        "programme gift: approved", "programme guest: approved",
    ]  # fmt: skip
    assert said["google pictures"].endswith(" served")
    assert "answers" in said["google callback"]
    assert said["google sending"] == "open"
    assert "1 pass(es) in wallets" in said["google waiting"]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (None, "WALLETSVC_GOOGLE_KEY_FILE is not set"),
        ("{", "not JSON"),
        ("[]", "not JSON"),
        ('{"installed": {}}', "OAuth client"),
        ('{"type": "authorized_user"}', "not `service_account`"),
        ('{"type": "service_account", "client_email": "a@b"}', "lacks private_key, token_uri"),
    ],
)
def test_a_key_that_is_none(desk: Desk, tmp_path: Path, key: str | None, words: str) -> None:
    """What is wrong with it, and where a good one comes from; nothing more is asked of Google."""
    found = examined(desk, tmp_path, google_key=key and SecretStr(key))
    problem(found, "google key", words, "Keys, Add key, JSON")
    assert "google token" not in found


def test_a_private_key_that_is_broken_is_not_quoted(desk: Desk, tmp_path: Path) -> None:
    """A key in the log would be worse than none in the file."""
    broken = desk.key["private_key"][:300]
    found = examined(desk, tmp_path, google_key=keyed(desk, private_key=broken))
    problem(found, "google key", "private key cannot be read")
    assert broken[60:100] not in str(found)


def test_a_key_without_an_issuer(desk: Desk, tmp_path: Path) -> None:
    """Half of it was set."""
    problem(examined(desk, tmp_path, google_issuer_id=""), "google", "WALLETSVC_GOOGLE_ISSUER_ID")
    nothing = examined(desk, tmp_path, google_issuer_id="", google_key=None)
    assert not nothing["google"].problem


def test_a_key_that_was_revoked(desk: Desk, tmp_path: Path) -> None:
    """Google does not know it any more; or not the account."""
    found = examined(desk, tmp_path, google_key=keyed(desk, private_key_id="0" * 40))
    problem(found, "google token", "deleted or replaced", "make a key")
    assert "google issuer" not in found
    found = examined(desk, tmp_path, google_key=keyed(desk, client_email="gone@x.example"))
    problem(found, "google token", "gone@x.example does not exist any more")


def test_clocks_that_differ(desk: Desk, tmp_path: Path) -> None:
    """Google's Date tells; and when it is too much it gives no token."""
    desk.now += timedelta(hours=1)
    problem(examined(desk, tmp_path), "google clock", "ahead of Google", "NTP")
    desk.now -= timedelta(hours=2)
    problem(examined(desk, tmp_path), "google clock", "behind Google")
    desk.google.store.tokens.clock = lambda: time.time() + 7200
    problem(examined(desk, tmp_path), "google token", "clock of this host", "NTP")


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("Account has been disabled.", "is disabled: enable it in Google Cloud"),
        ("Invalid JWT Signature.", "deleted or replaced"),
        ("Invalid grant: account not found", "does not exist any more"),
        ("Token must be a short-lived token and in a reasonable timeframe", "NTP"),
    ],
)
def test_what_google_itself_says_of_a_key_has_its_remedy(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, remedy: str
) -> None:
    """In the words that its token address is known to use."""

    def refuse(*_: Any) -> Any:
        raise OAuthError("invalid_grant", said)

    monkeypatch.setattr(desk.google.store.tokens, "grant", refuse)
    problem(examined(desk, tmp_path), "google token", said, remedy)


@pytest.mark.parametrize(
    ("fault", "count", "about", "remedy"),
    [
        ("401", 2, "google api", "Wallet API is enabled"),
        ("500", 1, "google api", "500 backendError"),
        ("429", 1, "google issuer", "429 rateLimitExceeded"),
    ],
)
def test_an_api_that_does_not_answer_what_was_asked(
    desk: Desk, tmp_path: Path, fault: str, count: int, about: str, remedy: str
) -> None:
    """It says nothing of the issuer, and nothing behind it is tried."""
    desk.google.arm(fault, count=count, resource="issuer")
    found = examined(desk, tmp_path)
    problem(found, about, remedy)
    assert "google role" not in found
    assert "google class" not in found


def test_what_google_says_otherwise_of_a_key_is_told_as_it_says(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And where to look."""

    def refuse(*_: Any) -> Any:
        raise OAuthError("unauthorized_client", "Client is unauthorized.")

    monkeypatch.setattr(desk.google.store.tokens, "grant", refuse)
    found = examined(desk, tmp_path)
    problem(found, "google token", "Client is unauthorized", desk.key["client_email"])


def test_no_way_out(desk: Desk, tmp_path: Path) -> None:
    """To the token address; to the API alone."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    found = examined(desk, tmp_path, google_key=keyed(desk, token_uri=f"{nowhere}/token"))
    problem(found, "google token", "connect out", nowhere)
    problem(examined(desk, tmp_path, google_url=nowhere), "google api", "cannot be reached")
    problem(examined(desk, tmp_path, google_pay_url=nowhere), "google keys", nowhere)


def test_a_token_of_another_scope(desk: Desk) -> None:
    """Nothing of the console helps then."""
    scopes = ["https://www.googleapis.com/auth/cloud-platform"]
    credentials = service_account.Credentials.from_service_account_info(desk.key, scopes=scopes)
    account = google_account.Account("a@b", "shop", desk.key["token_uri"], credentials)
    assert not google_account.token(account).problem
    client = GoogleClient(credentials, desk.google.base_url)
    settings = Settings(google_issuer_id=HOUSE.issuer_id)
    found = {f.about: f for f in google_account.issuer(client, account, settings)}
    client.close()
    problem(found, "google scope", "wallet_object.issuer")
    assert "google issuer" not in found


def test_an_account_that_was_not_invited(desk: Desk, tmp_path: Path) -> None:
    """The commonest fault: who, where, and as what."""
    desk.key = desk.google.account(HOUSE.issuer_id, role="", private_key=private_key())
    found = examined(desk, tmp_path)
    email = desk.key["client_email"]
    problem(found, "google issuer", f"{email} is not invited to issuer {HOUSE.issuer_id}")
    problem(found, "google issuer", "as Developer", "business/console")
    assert not found["google scope"].problem
    assert "google class" not in found


def test_an_issuer_that_is_another(desk: Desk, tmp_path: Path) -> None:
    """The account knows which: one digit may be wrong."""
    found = examined(desk, tmp_path, google_issuer_id="3388000000000000009")
    problem(found, "google issuer", f"is invited to {HOUSE.issuer_id} (Demo shop)")
    problem(found, "google issuer", "not to 3388000000000000009", "WALLETSVC_GOOGLE_ISSUER_ID")


def test_an_account_that_may_only_read(desk: Desk, tmp_path: Path) -> None:
    """It is let in, and every card would be refused."""
    desk.key = desk.google.account(HOUSE.issuer_id, role="READER", private_key=private_key())
    problem(examined(desk, tmp_path), "google role", "may only read", "Developer")


def test_an_api_that_is_not_enabled(desk: Desk) -> None:
    """Google says so in one of several ways."""
    credentials = service_account.Credentials.from_service_account_info(desk.key, scopes=[SCOPE])
    account = google_account.Account("a@b", "shop-1", "http://x", credentials)
    for answer in (
        Answer(403, "accessNotConfigured", "x"),
        Answer(403, "SERVICE_DISABLED", "x"),
        Answer(403, "forbidden", "Google Wallet API has not been used in project 1 before"),
    ):
        fault = google_account.refused(answer, account)
        assert fault is not None
        assert "enable it for the project shop-1" in fault.text
    assert google_account.refused(Answer(403, "permissionDenied", "no"), account) is None


def test_classes_that_cannot_be_used(desk: Desk, tmp_path: Path) -> None:
    """Not sent; refused by the schema; rejected by the reviewer; gone."""
    assert "not sent yet" in examined(desk, tmp_path)["google class"].text
    desk.cards(1)
    guest = desk.rows("SELECT class_id FROM google_classes WHERE kind = 'loyalty'")[0].class_id
    desk.google.review(guest, "rejected")
    problem(examined(desk, tmp_path), "google class", "programme guest: rejected", "publish")
    desk.google.review(guest, "draft")
    problem(examined(desk, tmp_path), "google class", "it is a draft")
    desk.google.arm("404", resource="loyaltyClass")
    problem(examined(desk, tmp_path), "google class", f"does not have {guest}")
    desk.execute("UPDATE google_classes SET error = 'Google answers 400: hexBackgroundColor'")
    problem(examined(desk, tmp_path), "google class", "hexBackgroundColor", "publish it again")


def test_a_class_that_google_does_not_show(desk: Desk, tmp_path: Path) -> None:
    """It is told what Google answers instead."""
    desk.cards(1)
    desk.google.arm("500", resource="loyaltyClass")
    problem(examined(desk, tmp_path), "google class", "programme guest", "500 backendError")


def test_classes_of_another_issuer_are_not_looked_at(desk: Desk, tmp_path: Path) -> None:
    """Each template has one under each issuer; what is wrong with the others is no fault."""
    desk.cards(1)
    with desk.database.write_tx() as session:
        other = ensure_issuer(session, "3388000000099999999", desk.now)
        for template in session.exec(select(PassTemplate)).all():
            ensure_class(session, template, other, desk.now).error = "Google answers 400: logo"
    with opened(desk, tmp_path) as installation:
        found = [f for f in google.examine(installation) if f.about == "google class"]
    assert sorted(f.text for f in found) == [
        "programme gift: approved",
        "programme guest: approved",
    ]


def test_pictures_and_callbacks_that_a_proxy_keeps(desk: Desk, tmp_path: Path) -> None:
    """Google would see the proxy's answer in place of ours."""
    with opened(desk, tmp_path) as installation:
        port = int(installation.settings.base_url.rpartition(":")[2])
        for status in (200, 302, 400, 403, 404):
            with web(answering(status, "Log in"), port):
                found = {f.about: f for f in google_address.examine(installation)}
            problem(found, "google pictures", f"answered {status}", "/google/images/")
            problem(found, "google callback", f"answered {status}", "/google/callback")
            restart = "restart `walletsvc web`" in found["google callback"].text
            assert restart is (status == 404)  # the route is missing where it began without Google


def test_an_address_that_does_not_answer_is_a_problem_unless_it_is_this_machine() -> None:
    """A public address that is down loses callbacks; at home `web` may just not run yet."""
    public = google_address.callback(Settings(public_url="https://cards.invalid"))
    assert public.problem
    assert "cards.invalid" in public.text
    here = google_address.callback(Settings(public_url=f"http://127.0.0.1:{free_port()}"))
    assert not here.problem
    pictures = ["https://cards.invalid/google/images/1.png"]
    assert google_address.pictures(pictures, local=False).problem
    assert not google_address.pictures(pictures, local=True).problem


def test_robots_are_kept_out(desk: Desk, tmp_path: Path) -> None:
    """Google's callbacks obey robots.txt."""
    with opened(desk, tmp_path) as installation:
        app = create_app(installation)
        rules = ["User-agent: *\nDisallow: /"]
        app.add_url_rule("/robots.txt", view_func=lambda: rules[0])
        port = int(installation.settings.base_url.rpartition(":")[2])
        with web(app, port):
            problem({"google callback": google_address.callback(installation.settings)},
                    "google callback", "keeps Googlebot from /google/callback")  # fmt: skip
            rules[0] += "\n\nUser-agent: Googlebot\nAllow: /google/"
            assert not google_address.callback(installation.settings).problem


def test_a_web_process_that_cannot_get_googles_keys(desk: Desk, tmp_path: Path) -> None:
    """Its callbacks cannot be verified."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    with opened(desk, tmp_path, google_pay_url=nowhere) as installation:
        port = int(installation.settings.base_url.rpartition(":")[2])
        with web(create_app(installation), port):
            said = google_address.callback(installation.settings)
    assert said.problem
    assert nowhere in said.text


def test_an_address_that_google_cannot_reach(desk: Desk, tmp_path: Path) -> None:
    """The true Google: an emulator reaches anything."""
    with opened(desk, tmp_path, google_url="https://walletobjects.invalid") as installation:
        found = {f.about: f for f in google_address.examine(installation)}
    problem(found, "google reach", "WALLETSVC_PUBLIC_URL", "https")
    https = {"google_url": "https://walletobjects.invalid", "public_url": "https://192.168.7.7"}
    with opened(desk, tmp_path, **https) as installation:
        found = {f.about: f for f in google_address._outside(installation.settings)}
    problem(found, "google reach", "192.168.7.7", "Google has to")


def test_a_breaker_that_is_open_or_shut(desk: Desk) -> None:
    """A stop is a fault with its reason and the command; a pause was the operator's wish."""

    def said() -> dict[str, Finding]:
        with desk.database.read_tx() as session:
            return {f.about: f for f in google.sending(session, HOUSE.issuer_id, desk.now)}

    assert said()["google sending"].text == "nothing was issued yet"
    [holder] = desk.cards(1)
    desk.change([holder], 5)
    desk.google.arm("permissionDenied", resource="loyaltyObject")
    desk.sender().drain()
    problem(said(), "google sending", "stopped since", "Developer", "walletsvc google resume")
    assert "1 urgent" in said()["google waiting"].text
    with desk.database.write_tx() as session:
        breaker.pause(session, None, actor=OPERATOR, now=desk.now)
    assert not said()["google sending"].problem
    desk.execute("UPDATE google_objects SET due_at = NULL, error = 'Google answers 400: pin'")
    problem(said(), "google refuses", holder.object_id, "pin")
