"""Apple's web service: statuses, bodies and traps as phones meet them."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime

from sqlalchemy import text

from tests.apple.conftest import LIBRARY, TOKEN, Service, counts, pass_json


def test_a_new_registration_is_201_and_a_repeated_one_200(service: Service) -> None:
    """Phones retry registrations; the second must not look like a new one."""
    assert service.register() == 201
    assert service.register() == 200
    assert (service.count("devices"), service.count("registrations")) == (1, 1)


def test_a_repeated_registration_stores_a_changed_push_token(service: Service) -> None:
    """After a restore the phone has another token and only says so here."""
    service.register(token=TOKEN)
    assert service.register(token="cd" * 32) == 200
    with service.database.read_tx() as session:
        assert session.execute(text("SELECT push_token FROM devices")).scalar_one() == "cd" * 32


def test_one_device_holds_many_passes(service: Service) -> None:
    """Its passes share the device row, so a new token counts for all of them."""
    service.register(0)
    service.register(1)
    assert (service.count("devices"), service.count("registrations")) == (1, 2)
    answer = service.client.get(service.list_url())
    assert len(answer.get_json()["serialNumbers"]) == 2


def test_unregister_forgets_the_device_with_its_last_pass(service: Service) -> None:
    """A device without passes is nobody's business."""
    service.register(0)
    service.register(1)
    assert (
        service.client.delete(service.registration(0), headers=service.auth(0)).status_code == 200
    )
    assert service.count("devices") == 1
    assert (
        service.client.delete(service.registration(1), headers=service.auth(1)).status_code == 200
    )
    assert service.count("devices") == 0
    assert (
        service.client.delete(service.registration(1), headers=service.auth(1)).status_code == 200
    )


WRONG_TOKENS = (
    None, "", "ApplePass", "ApplePass wrong", "Bearer x", "ApplePass " + "x" * 300, "ApplePass é",
)  # fmt: skip


def test_a_wrong_token_is_401_everywhere_and_writes_nothing(service: Service) -> None:
    """Registering, unregistering and fetching need the pass's own token."""
    before = counts(service)
    url = service.registration()
    for header in WRONG_TOKENS:
        headers = {} if header is None else {"Authorization": header}
        answers = (
            service.client.post(url, json={"pushToken": TOKEN}, headers=headers),
            service.client.delete(url, headers=headers),
            service.client.get(service.pass_url(), headers=headers),
        )
        assert [answer.status_code for answer in answers] == [401] * 3, header
    assert counts(service) == before


def test_another_pass_token_does_not_open_this_pass(service: Service) -> None:
    """Tokens are per pass: a holder must not fetch others' cards."""
    assert service.client.get(service.pass_url(0), headers=service.auth(1)).status_code == 401


def test_an_unknown_serial_answers_like_a_wrong_token(service: Service) -> None:
    """A stranger learns nothing about which serials exist."""
    unknown = f"/apple/v1/passes/{service.pass_type}/nosuchserial"
    wrong = service.client.get(service.pass_url(), headers={"Authorization": "ApplePass nope1234"})
    missing = service.client.get(unknown, headers=service.auth())
    assert wrong.status_code == missing.status_code == 401
    assert wrong.get_json()["detail"] == missing.get_json()["detail"]


def test_android_wallets_are_let_in_under_their_own_scheme(service: Service) -> None:
    """WalletPasses for Android sends AndroidPass."""
    answer = service.client.get(service.pass_url(), headers=service.auth(scheme="AndroidPass"))
    assert answer.status_code == 200


BAD_REGISTRATIONS = (
    b"", b"{", b"[]", b"null", b'{"pushToken": 5}', b'{"pushToken": ""}', b'{"pushToken": null}',
    b"{}", b'{"pushToken": "a b"}', b'{"pushToken": "' + b"a" * 300 + b'"}', b"\xff\xfe",
    b'{"pushToken": "a\\u0000"}', b'{"pushToken": "' + b"a" * 2_000_000 + b'"}',
)  # fmt: skip


def test_a_bad_registration_body_is_refused_and_writes_nothing(service: Service) -> None:
    """Clear 4xx, never a 500."""
    before = counts(service)
    for body in BAD_REGISTRATIONS:
        answer = service.client.post(
            service.registration(),
            data=body,
            headers={**service.auth(), "Content-Type": "application/json"},
        )
        assert 400 <= answer.status_code < 500, body[:60]
        assert answer.mimetype == "application/problem+json"
    assert counts(service) == before


def test_the_list_needs_no_token_and_has_a_string_tag(service: Service) -> None:
    """Phones send no Authorization here, and break on a numeric tag."""
    service.register()
    service.client.get(service.pass_url(), headers=service.auth())
    answer = service.client.get(service.list_url())
    assert answer.status_code == 200
    body = answer.get_json()
    assert body["serialNumbers"] == [service.members[0][1].serial]
    assert isinstance(body["lastUpdated"], str)


def test_nothing_changed_and_unknown_devices_are_204_without_a_body(service: Service) -> None:
    """A body in a 204 is logged by phones as a malformed answer."""
    for library in (LIBRARY, "unknown", "%00", "a%2Fb", "я", "x" * 3000):
        answer = service.client.get(service.list_url(library=library))
        assert answer.status_code in (204, 404), library
        if answer.status_code == 204:
            assert answer.data == b""
            assert "Content-Type" not in answer.headers


ODD_TAGS = (
    "", "abc", "1700000000", "7-", "-7", "7-1-2", "0-0", "9-99999999999999999999", "7-9x",
    "-1-0", "٧-١", "%00", "99999999999999999999-1", "%F0%9F%8E%81", "7- 1",
)  # fmt: skip


def test_an_odd_tag_counts_as_none(service: Service) -> None:
    """Never an error, never a missed change: everything the device holds is named."""
    service.register()
    service.client.get(service.pass_url(), headers=service.auth())
    for tag in ODD_TAGS:
        answer = service.client.get(service.list_url(tag))
        assert answer.status_code == 200, tag
        assert answer.get_json()["serialNumbers"] == [service.members[0][1].serial]


def test_only_what_changed_since_the_tag_is_listed(service: Service) -> None:
    """The phone's own tag, given back, names exactly the later changes."""
    for index in (0, 1):
        service.client.get(service.pass_url(index), headers=service.auth(index))
        service.register(index)
    tag = service.client.get(service.list_url()).get_json()["lastUpdated"]
    assert service.client.get(service.list_url(tag)).status_code == 204
    service.change(25, index=1)
    service.drain()
    answer = service.client.get(service.list_url(tag)).get_json()
    assert answer["serialNumbers"] == [service.members[1][1].serial]
    assert service.client.get(service.list_url(answer["lastUpdated"])).status_code == 204


def test_a_tag_of_another_epoch_counts_as_none(service: Service) -> None:
    """After a restore from a backup phones hold tags of a future that never was."""
    service.client.get(service.pass_url(), headers=service.auth())
    service.register()
    tag = service.client.get(service.list_url()).get_json()["lastUpdated"]
    epoch, counter = tag.split("-")
    assert service.client.get(service.list_url(f"{int(epoch) - 1}-{counter}")).status_code == 200
    assert service.client.get(service.list_url(f"{epoch}-{int(counter) + 50}")).status_code == 200


def test_the_pass_shows_the_balance_and_can_be_asked_for_conditionally(service: Service) -> None:
    """200 with both validators; 304 for either of them; a change answers 200 again."""
    service.change(120)
    first = service.client.get(service.pass_url(), headers=service.auth())
    assert first.status_code == 200
    assert first.mimetype == "application/vnd.apple.pkpass"
    store = pass_json(first.data)["storeCard"]
    assert isinstance(store, dict)
    assert store["headerFields"][0]["value"] == 120
    by_date = {**service.auth(), "If-Modified-Since": first.headers["Last-Modified"]}
    by_etag = {**service.auth(), "If-None-Match": first.headers["ETag"]}
    for headers in (by_date, by_etag):
        same = service.client.get(service.pass_url(), headers=headers)
        assert (same.status_code, same.data) == (304, b"")
    service.change(5)
    for headers in (by_date, by_etag, {**by_date, **by_etag}):
        assert service.client.get(service.pass_url(), headers=headers).status_code == 200


def test_an_etag_outranks_a_date(service: Service) -> None:
    """RFC 9110: with If-None-Match the date is ignored."""
    answer = service.client.get(service.pass_url(), headers=service.auth())
    headers = {
        **service.auth(),
        "If-None-Match": '"something-else"',
        "If-Modified-Since": answer.headers["Last-Modified"],
    }
    assert service.client.get(service.pass_url(), headers=headers).status_code == 200


def test_two_changes_in_one_second_have_different_dates(service: Service) -> None:
    """Last-Modified counts in seconds; a second change in the same one must still be seen."""
    seen = []
    for _ in range(3):
        service.change(1)
        answer = service.client.get(service.pass_url(), headers=service.auth())
        seen.append(answer.headers["Last-Modified"])
        later = {**service.auth(), "If-Modified-Since": seen[0]}
        expected = 304 if len(seen) == 1 else 200
        assert service.client.get(service.pass_url(), headers=later).status_code == expected
    assert len(set(seen)) == 3


def test_an_odd_date_is_no_condition(service: Service) -> None:
    """Bad conditions are ignored, not errors."""
    for value in (
        "",
        "garbage",
        "Thu, 99 Foo 2026",
        "0",
        "Sun, 06 Nov 1994 08:49:37",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Mon, 01 Jan 0001 00:00:00 +2359",
    ):
        headers = {**service.auth(), "If-Modified-Since": value}
        answer = service.client.get(service.pass_url(), headers=headers)
        assert answer.status_code == 200, value


def test_only_the_very_date_that_was_sent_is_unchanged(service: Service) -> None:
    """After a restore phones hold copies from a lost future: a later date is no 304."""
    first = service.client.get(service.pass_url(), headers=service.auth())
    sent = parsedate_to_datetime(first.headers["Last-Modified"])
    for seconds, expected in ((-1, 200), (0, 304), (1, 200), (86_400, 200)):
        since = format_datetime(sent + timedelta(seconds=seconds), usegmt=True)
        headers = {**service.auth(), "If-Modified-Since": since}
        answer = service.client.get(service.pass_url(), headers=headers)
        assert answer.status_code == expected, seconds


def test_a_voided_pass_is_still_served(service: Service) -> None:
    """401 or 404 would leave the old balance on the screen."""
    service.register()
    with service.database.write_tx() as session:
        session.execute(
            text("UPDATE cards SET closed_at = now() WHERE id = :id"),
            {"id": service.members[0][0].id},
        )
    answer = service.client.get(service.pass_url(), headers=service.auth())
    assert answer.status_code == 200
    assert pass_json(answer.data)["voided"] is True


def test_a_download_needs_only_the_page_token(service: Service) -> None:
    """The link in the SMS; a wrong one is a plain 404."""
    link = service.members[0][0].link_token
    answer = service.client.get(f"/p/{link}.pkpass")
    assert answer.status_code == 200
    assert answer.mimetype == "application/vnd.apple.pkpass"
    assert "filename" in answer.headers["Content-Disposition"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert service.client.get("/p/wrong.pkpass").status_code == 404


def test_the_web_service_url_in_the_pass_leads_back_here(service: Service) -> None:
    """What the phone reads in the pass is what these tests call."""
    body = pass_json(service.client.get(service.pass_url(), headers=service.auth()).data)
    assert body["webServiceURL"] == "http://127.0.0.1:8000/apple"
    assert body["authenticationToken"] == service.members[0][1].auth_token
    assert body["serialNumber"] == service.members[0][1].serial


def test_a_trailing_slash_is_tolerated(service: Service) -> None:
    """Some clients add one."""
    assert service.client.get(service.pass_url() + "/", headers=service.auth()).status_code == 200
    service.register()
    assert service.client.get(service.list_url() + "/").status_code in (200, 204)


ODD_PATHS = (
    "/apple", "/apple/", "/apple/v1", "/apple/v2/log", "/apple/v1/passes", "/apple/v1/passes/x",
    "/apple/v1/passes/%00/%00", "/apple/v1/passes/a/" + "b" * 5000, "/apple/v1/passes/%ff/%fe",
    "/apple/v1/devices//registrations/x", "/apple/v1/passes/../../etc/passwd", "/p/.pkpass",
    "/p/%00.pkpass", "/p/я.pkpass",
)  # fmt: skip


def test_odd_paths_are_4xx(service: Service) -> None:
    """Whatever is thrown at it, the answer is clear and nothing is written."""
    before = counts(service)
    for path in ODD_PATHS:
        for method in ("GET", "POST", "DELETE", "PUT", "PATCH"):
            answer = service.client.open(path, method=method, headers=service.auth(), data=b"{}")
            assert 400 <= answer.status_code < 500, f"{method} {path[:60]}"
    assert counts(service) == before
