"""Requests and batches against the emulator, and what their answers mean."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
import requests
from google.oauth2 import service_account
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tests.google.desk import private_key
from walletsvc import settings
from walletsvc.core.errors import ConfigurationError
from walletsvc.emulators.google import GoogleEmulator
from walletsvc.google import client as clients
from walletsvc.google import multipart
from walletsvc.google.answers import Action, action, backoff, explain, label
from walletsvc.google.client import (
    BATCH_REFUSED,
    NOT_SENT,
    SCOPE,
    TOKEN_REFUSED,
    Answer,
    ApiRequest,
    GoogleClient,
    class_path,
    object_path,
)
from walletsvc.google.models import Kind

ISSUER = "3388000000022000000"
CLASS_ID = f"{ISSUER}.club"


@pytest.fixture(name="google")
def google_fixture() -> Iterator[GoogleEmulator]:
    """Google."""
    with GoogleEmulator() as google:
        yield google


@pytest.fixture(name="client")
def client_fixture(google: GoogleEmulator) -> Iterator[GoogleClient]:
    """An invited account's client that waits a second at most."""
    client = make_client(google)
    yield client
    client.close()


def make_client(google: GoogleEmulator, role: str = "WRITER") -> GoogleClient:
    """A client of a new account."""
    key = google.account(ISSUER, role=role, private_key=private_key())
    made = service_account.Credentials.from_service_account_info(key, scopes=[SCOPE])
    return GoogleClient(made, google.base_url, connect_seconds=1.0, read_seconds=1.0)


def make_class(client: GoogleClient) -> None:
    """A loyalty class for objects."""
    body = {
        "id": CLASS_ID,
        "issuerName": "Лавка",
        "programName": "Клуб",
        "programLogo": {"sourceUri": {"uri": "https://cards.example/logo.png"}},
        "reviewStatus": "UNDER_REVIEW",
    }
    assert client.call(ApiRequest("POST", class_path(Kind.LOYALTY), body)).ok


def insert(number: int) -> ApiRequest:
    """The request that makes one card."""
    body = {"id": f"{ISSUER}.card-{number}", "classId": CLASS_ID, "state": "ACTIVE"}
    return ApiRequest("POST", object_path(Kind.LOYALTY), body)


def get(number: int) -> ApiRequest:
    """The request that reads one card."""
    return ApiRequest("GET", object_path(Kind.LOYALTY, f"{ISSUER}.card-{number}"))


def test_a_batch_answers_in_the_order_of_its_calls(
    google: GoogleEmulator, client: GoogleClient
) -> None:
    """However Google orders the parts, and whatever each of them comes to."""
    google.store.switches.shuffle_batches = True
    make_class(client)
    assert all(answer.ok for answer in client.batch([insert(n) for n in range(50)]))
    asked = [get(n) for n in range(50)] + [get(99), insert(7)]
    answers = client.batch(asked)
    assert [(a.body or {}).get("id") for a in answers[:50]] == [
        f"{ISSUER}.card-{n}" for n in range(50)
    ]
    assert [action(a) for a in answers[50:]] == [Action.INSERT, Action.PATCH]


def test_non_ascii_text_arrives(client: GoogleClient) -> None:
    """Lengths in a batch count bytes."""
    make_class(client)
    card = insert(1)
    assert card.body is not None
    named = ApiRequest(card.method, card.path, {**card.body, "accountName": "Ёлка «Ы»"})
    assert all(answer.ok for answer in client.batch([named, insert(2)]))
    assert (client.call(get(1)).body or {})["accountName"] == "Ёлка «Ы»"


def test_a_refused_token_is_renewed_once(google: GoogleEmulator, client: GoogleClient) -> None:
    """For one call, for a whole batch, and for single parts of it, which alone are sent again."""
    make_class(client)
    assert client.call(insert(1)).ok
    google.store.tokens.revoke()
    assert client.call(get(1)).ok
    google.store.tokens.revoke()
    assert all(answer.ok for answer in client.batch([insert(2), insert(3)]))
    google.arm("401", count=2, part=True)
    assert all(answer.ok for answer in client.batch([insert(4), insert(5), insert(6)]))
    google.arm("401", count=2)
    refused = client.call(get(1))
    assert refused.status == 401
    assert action(refused) is Action.STOP


def test_parts_whose_token_was_refused_wait_for_a_turn(
    google: GoogleEmulator, client: GoogleClient
) -> None:
    """Each counts for the quota once more; without a turn nothing more is sent."""
    make_class(client)
    asked: list[int] = []

    def turn(count: int) -> bool:
        asked.append(count)
        return len(asked) == 1

    google.arm("401", count=2, part=True)
    calls = [insert(1), insert(2), insert(3)]
    assert all(answer.ok for answer in client.batch(calls, turn))
    google.arm("401", count=1, part=True)
    answers = client.batch([get(1), get(2)], turn)
    assert sorted(answer.status or 0 for answer in answers) == [200, 401]
    assert asked == [2, 1]


def test_a_token_address_that_hangs_does_not_hold_up_longer_than_a_request() -> None:
    """The library would wait two minutes: longer than the lease of what is to be sent."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        client = GoogleClient(
            service_account.Credentials.from_service_account_info(
                {"client_email": "a@b", "token_uri": address, "private_key": private_key()}
            ),
            "http://127.0.0.1:1",
            read_seconds=0.1,
        )
        found: list[Answer | None] = []
        asking = threading.Thread(target=lambda: found.append(client._renew_token()), daemon=True)
        asking.start()
        asking.join(30)
    assert [answer and answer.reason for answer in found] == [NOT_SENT]


def test_a_call_does_not_wait_long_for_its_token(google: GoogleEmulator) -> None:
    """Neither for the first one, nor for another in place of one that was refused."""
    client = make_client(google)
    google.arm("hang_before", resource="token", seconds=60)
    started = time.monotonic()
    assert client.batch([get(1), get(2)])[0].reason == NOT_SENT
    assert client.call(get(1)).status == 404  # the next one has a token
    google.arm("401")
    google.arm("hang_before", resource="token", seconds=60)
    assert client.call(get(1)).reason == NOT_SENT
    assert time.monotonic() - started < 30
    client.close()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("400", Action.OURS),
        ("permissionDenied", Action.STOP),
        ("quotaExceeded", Action.SILENT),
        ("rateLimitExceeded", Action.RETRY),
        ("404", Action.INSERT),
        ("429", Action.RETRY),
        ("500", Action.UNKNOWN),
        ("503", Action.UNKNOWN),
        ("drop_after", Action.UNKNOWN),
        ("drop_before", Action.UNKNOWN),
        ("hang_after", Action.UNKNOWN),
    ],
)
def test_what_an_answer_means(
    google: GoogleEmulator, client: GoogleClient, fault: str, expected: Action
) -> None:
    """By its reason: 403 alone means three things."""
    make_class(client)
    google.arm(fault, resource="loyaltyObject")
    answer = client.call(insert(1))
    assert action(answer) is expected
    assert explain(answer)
    assert label(answer)


def test_a_missing_class_is_to_be_made(client: GoogleClient) -> None:
    """404 has two meanings as well."""
    assert action(client.call(insert(1))) is Action.CREATE_CLASS


def test_a_lost_batch_says_nothing_of_its_parts(
    google: GoogleEmulator, client: GoogleClient
) -> None:
    """All of them are unknown."""
    make_class(client)
    google.arm("drop_after", resource="loyaltyObject")
    answers = client.batch([insert(1), insert(2)])
    assert {action(answer) for answer in answers} == {Action.UNKNOWN}
    assert client.call(get(1)).ok


def test_what_never_left_may_be_sent_again(google: GoogleEmulator) -> None:
    """Nobody listens: that is known not to have been applied."""
    client = make_client(google)
    make_class(client)  # it has a token
    google.close()
    answer = client.call(insert(1))
    assert (answer.status, answer.reason) == (None, NOT_SENT)
    assert action(answer) is Action.RETRY
    client.close()


def test_an_account_that_was_not_invited(google: GoogleEmulator) -> None:
    """It is said who is to be invited where, and for what."""
    client = make_client(google, role="")
    answer = client.call(ApiRequest("GET", class_path(Kind.LOYALTY, CLASS_ID)))
    assert action(answer) is Action.STOP
    assert "Developer" in explain(answer)
    client.close()


def test_a_key_that_google_does_not_know(google: GoogleEmulator) -> None:
    """There is no token at all; nothing of the key is told."""
    key = google.account(ISSUER, private_key=private_key())
    key["client_email"] = "gone@emulated-project.iam.gserviceaccount.com"
    made = service_account.Credentials.from_service_account_info(key, scopes=[SCOPE])
    client = GoogleClient(made, google.base_url)
    answer = client.call(get(1))
    assert (answer.status, answer.reason) == (None, TOKEN_REFUSED)
    assert action(answer) is Action.STOP
    assert "invalid_grant" in explain(answer)
    client.close()


@pytest.mark.parametrize("key", [None, "", "{}", "[]", "not json", '{"type": "service_account"}'])
def test_a_key_that_is_none(key: str | None) -> None:
    """The setting is named, the key is not quoted."""
    loaded = settings.load().model_copy(
        update={"google_key": None if key is None else SecretStr(key)}
    )
    with pytest.raises(ConfigurationError, match="WALLETSVC_GOOGLE_KEY"):
        clients.credentials(loaded)


def test_a_refusal_of_the_whole_batch_condemns_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something between us and Google that takes no batch must not mark every card as wrong."""
    client = GoogleClient(
        service_account.Credentials.from_service_account_info(
            {"client_email": "a@b", "token_uri": "http://127.0.0.1:1", "private_key": private_key()}
        ),
        "http://127.0.0.1:1",
    )
    answered = requests.Response()
    answered.status_code = 413
    answered._content = b"<html>too large"
    monkeypatch.setattr(client, "_request", lambda *_: answered)
    answers = client.batch([insert(1), insert(2)])
    assert {answer.reason for answer in answers} == {BATCH_REFUSED}
    assert {action(answer) for answer in answers} == {Action.STOP}


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.integers(0, 60))
def test_a_batch_that_breaks_off_loses_its_last_part(bodies: list[bytes], cut: int) -> None:
    """An answer is taken whole or not at all: half a body would be another body."""
    bodies = [body.replace(b"\r", b"").replace(b"\n", b"") for body in bodies]
    lines = []
    for number, body in enumerate(bodies):
        lines.append(
            b"--b\r\nContent-Type: application/http\r\nContent-ID: <response-part-%d>\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s\r\n" % (number, len(body), body)
        )
    whole = b"".join(lines) + b"--b--\r\n"
    found = multipart.read("multipart/mixed; boundary=b", whole)
    assert {n: part.body for n, part in found.items()} == dict(enumerate(bodies))
    broken = multipart.read("multipart/mixed; boundary=b", whole[: len(whole) - 8 - cut])
    assert all(part.body == bodies[n] for n, part in broken.items())
    assert len(broken) < len(bodies)


@given(st.integers(400, 599), st.text(max_size=20))
def test_no_refusal_counts_as_done(status: int, reason: str) -> None:
    """Whatever Google comes to say."""
    assert action(Answer(status, reason)) is not Action.DONE


def test_backoff_grows_to_its_longest_and_is_spread() -> None:
    """Half of it is chance."""
    rng = random.Random(1)
    waits = [backoff(n, rng).total_seconds() for n in range(1, 40)]
    assert all(0.5 <= waits[n] / min(2**n, 600) <= 1 for n in range(39))
    assert backoff(10**6, rng) <= timedelta(minutes=10)
