"""The save page: a small picture of the card, and the buttons that Google's page has."""

from __future__ import annotations

from html import escape
from string import Template
from typing import Any, Final

from walletsvc.emulators.google.errors import Json
from walletsvc.emulators.google.http import Response

_PAGE: Final = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 26rem; padding: 0 1rem }
.card { border-radius: 1rem; color: #fff; margin: 1rem 0; padding: 1.25rem }
.card p { margin: .25rem 0 } .name { font-size: 1.25rem; font-weight: 600 }
button { border: 0; border-radius: 1.5rem; font: inherit; min-height: 3rem; padding: 0 1.5rem;
  background: #1f1f1f; color: #fff; cursor: pointer }
button:focus-visible { outline: 3px solid #1a73e8; outline-offset: 2px }
small { color: #777 }
</style>
</head>
<body>
<h1>$title</h1>
$body
<p><small>An emulator of Google Wallet, on this machine only.</small></p>
</body>
</html>
""")
_CARD: Final = Template("""<section class="card" style="background:$colour" data-object="$id">
<p>$issuer</p><p class="name">$name</p>$lines
</section>""")
_COLOUR: Final = "#0b57d0"


def _page(title: str, body: str, status: int = 200) -> Response:
    text = _PAGE.substitute(title=escape(title), body=body)
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Response(text.encode(), status, "text/html; charset=utf-8", headers)


def error_page(text: str) -> Response:
    """What a link that does not work shows."""
    body = f'<p role="alert">This pass cannot be added: {escape(text)}.</p>'
    return _page("Something went wrong", body, 400)


def save_page(shown: list[tuple[Json, Json, bool]]) -> Response:
    """The cards of a link with the button that fits: `Add`, or `Remove` once they are held."""
    cards = "".join(_card(body, parent) for body, parent, _ in shown)
    held = all(is_held for _, _, is_held in shown)
    action, label = ("remove", "Remove") if held else ("add", "Add")
    form = f'<form method="post"><button name="action" value="{action}">{label}</button></form>'
    note = "<p>In your wallet.</p>" if held else ""
    return _page("Google Wallet", f"{cards}{note}{form}")


def _card(body: Json, parent: Json) -> str:
    name = parent.get("programName") or parent.get("merchantName") or parent.get("title") or ""
    lines = [
        f"<p>{escape(label)}: {escape(value)}</p>"
        for label, value in _lines(body)
        if value not in (None, "")
    ]
    return _CARD.substitute(
        colour=escape(str(parent.get("hexBackgroundColor") or _COLOUR)),
        id=escape(str(body.get("id"))),
        issuer=escape(str(parent.get("issuerName") or "")),
        name=escape(str(name)),
        lines="".join(lines),
    )


def _lines(body: Json) -> list[tuple[str, str]]:
    lines = []
    for field in ("loyaltyPoints", "secondaryLoyaltyPoints"):
        points = body.get(field)
        if points:
            lines.append((str(points.get("label") or "Points"), _balance(points.get("balance"))))
    if body.get("balance"):
        lines.append(("Balance", money(body["balance"])))
    lines.append(("State", str(body.get("state") or "")))
    return lines


def _balance(balance: Any) -> str:
    for kind, value in (balance or {}).items():
        if kind == "money":
            return money(value)
        if kind != "kind":
            return str(value)
    return ""


def money(value: Json) -> str:
    """`{"micros": "12500000", "currencyCode": "RUB"}` → `12.50 RUB`."""
    micros = int(value.get("micros") or 0)
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    whole, rest = divmod(micros, 1_000_000)
    return f"{sign}{whole}.{rest // 10_000:02d} {value.get('currencyCode') or ''}"
