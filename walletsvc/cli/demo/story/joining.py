"""Two customers join by the poster in a shop: one types a code, the other one calls."""

from __future__ import annotations

import secrets
import time
from typing import Any, Final

from walletsvc.cli.demo.doors import EMPLOYEES, poster_sources
from walletsvc.cli.demo.story.stage import PATIENCE_SECONDS, Stage, StoryError, expect, ms
from walletsvc.cli.demo.story.visitor import Page, Visitor
from walletsvc.cli.emulate import sms_url

_PLACE: Final = 1  # the branch whose poster it is
_LOOK_SECONDS: Final = 0.1


def by_the_poster(stage: Stage) -> None:
    """Form, code, card, pass, the first purchase, and what an SMS is answered."""
    before = _counted(stage)
    with_code = _visitor(stage)
    began = time.monotonic()
    page = with_code.open(f"/j/{before['code']}")
    form = page.form(stage.shop.loyalty.slug)
    typed: dict[str, str | list[str]] = {
        "phone": with_code.number.replace("+7", "8 "),
        "first_name": "Вероника",
        "last_name": f"Чайкина-{secrets.token_hex(2)}",
        "data_text": form.value("data_text"),
        "channels": ["sms", "wallet"],
    }
    with_code.send(page, form, **typed)
    page = with_code.send(page, form, **typed)
    code = with_code.code()
    expect(len(with_code.received()) == 1, "A form sent twice brought two messages.")
    stage.say("Veronika scans the poster at her branch and sends the form twice: one SMS, one code")
    page = with_code.send(page, page.form("/code"), code=code)
    stage.hers.add(page.link(r"\.pkpass$"))
    stage.say(
        f"she types the code: the card is there, its pass verified on her phone,"
        f" {ms(time.monotonic() - began)} after the poster"
    )
    _is_known(stage, with_code, before)
    _buys(stage, with_code, page.url)
    _asks(stage, with_code)
    with_code.close()


def by_a_call(stage: Stage) -> None:
    """No code by SMS, but a call from the phone to a number that the page shows."""
    calling = _visitor(stage)
    page = calling.open(f"/join/{stage.shop.loyalty.slug}")
    form = page.form(stage.shop.loyalty.slug)
    page = calling.send(
        page, form, phone=calling.number, first_name="Тимур", data_text=form.value("data_text")
    )
    calling.send(page, page.form("/again"), route="call")
    number = _shown_number(calling, page.url).removeprefix("tel:")
    calling.call(number)
    page = _until_rung(calling, page.url)
    page = calling.send(page, page.form("/code"))
    page.link(r"\.pkpass$")
    stage.say(f"Timur's codes do not come: he calls {number}, and has his card as well")
    calling.close()


def _visitor(stage: Stage) -> Visitor:
    loaded = stage.installation.settings
    return Visitor(loaded.base_url, sms_url(loaded.emulator_port), "ru")


def _counted(stage: Stage) -> dict[str, Any]:
    """The poster's source, and what came of it so far."""
    with stage.installation.database.read_tx() as session:
        codes = [each.code for each in poster_sources(session, stage.shop)]
    expect(len(codes) > _PLACE, "The shop's posters have been closed.")
    found = stage.tills.office.get(f"/programmes/{stage.shop.loyalty.slug}/join-sources")
    for each in found["items"]:
        if each["code"] == codes[_PLACE]:
            source: dict[str, Any] = each
            return source
    raise StoryError("The poster's source is not listed.")


def _is_known(stage: Stage, visitor: Visitor, before: dict[str, Any]) -> None:
    """Whence she came, what she agreed to, and who was told."""
    after = _counted(stage)
    expect(after["cards"] == before["cards"] + 1, "The card was not counted to its poster.")
    (member,) = stage.tills.office.post("/members/search", {"phone": visitor.number})["items"]
    given = stage.tills.office.get(f"/persons/{member['person']['id']}/consents")["items"]
    agreed = [f"{each['channel'] or each['purpose']} (version {each['text_version']})"
              for each in given]  # fmt: skip
    expect(len(agreed) == 3, f"She agreed to {agreed}.")
    name, address = EMPLOYEES[_PLACE]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not any(each["to"] == address and "Вероника" in each["text"] for each in visitor.log()):
        expect(time.monotonic() < deadline, f"{name} was not told.")
        time.sleep(_LOOK_SECONDS)
    stage.say(f"she agreed to {', '.join(agreed)}; the branch's employee has a mail about her")


def _buys(stage: Stage, visitor: Visitor, card_page: str) -> None:
    """A purchase at the till; phone and page have the points."""
    (member,) = stage.tills.second.post("/members/search", {"phone": visitor.number})["items"]
    (card,) = member["cards"]
    body = {
        "source": "demo",
        "external_id": secrets.token_hex(6),
        "card_id": card["id"],
        "total": {"amount": 74_000, "currency": "RUB"},
    }
    stage.follow("she buys for 740.00", (stage.tills.second, "/purchases", body), "points", 37)
    expect("37" in visitor.open(card_page).values, "The page does not show the points.")


def _asks(stage: Stage, visitor: Visitor) -> None:
    """By SMS, from a phone without internet."""
    seen = len(visitor.log())
    visitor.write("Баланс")
    answer = visitor.message(r"\b37\b", after=seen)
    stage.say("she writes БАЛАНС by SMS and is answered")
    stage.show([answer["text"]])


def _shown_number(visitor: Visitor, url: str) -> str:
    """The number on the page, once a provider has named one."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        page = visitor.open(url)
        if any(link.startswith("tel:") for link in page.links):
            return next(link for link in page.links if link.startswith("tel:"))
        time.sleep(_LOOK_SECONDS)
    raise StoryError("No number to call was shown.")


def _until_rung(visitor: Visitor, url: str) -> Page:
    """The page, once it knows of the call."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        page = visitor.open(url)
        if not any(link.startswith("tel:") for link in page.links):
            return page
        time.sleep(_LOOK_SECONDS)
    raise StoryError("The call was not noticed.")
