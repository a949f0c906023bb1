"""The inbox: what phones and mailboxes got, for a person to read; and a phone to answer with."""

from __future__ import annotations

from html import escape
from string import Template
from typing import Any, Final

from walletsvc.emulators.google.http import Request, Response

_WORDS: Final = {
    "en": {
        "title": "Messages", "none": "Nothing was sent yet.", "note": "An emulator of SMS and mail "
        "providers, on this machine only. The page renews itself every five seconds.",
        "write": "Write to the shop", "from": "From", "text": "Text", "send": "Send",
        "call": "Call a number", "to": "To", "dial": "Call", "other": "По-русски", "lang": "ru",
    },
    "ru": {
        "title": "Сообщения", "none": "Пока ничего не отправлено.", "note": "Эмулятор SMS и почты, "
        "только на этой машине. Страница обновляется каждые пять секунд.",
        "write": "Написать магазину", "from": "От кого", "text": "Текст", "send": "Отправить",
        "call": "Позвонить", "to": "Куда", "dial": "Позвонить", "other": "In English", "lang": "en",
    },
}  # fmt: skip
_PAGE: Final = Template("""<!doctype html>
<html lang="$language">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<script>
// Not while somebody is typing.
setInterval(() => { if (!document.querySelector("details[open]")) location.reload() }, 5000)
</script>
<noscript><meta http-equiv="refresh" content="20; url=/?lang=$language"></noscript>
<title>$title</title>
<style>
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 36rem; padding: 0 1rem }
article { border: 1px solid #8886; border-radius: 1rem; margin: 1rem 0; padding: .5rem 1rem }
article p { margin: .25rem 0; overflow-wrap: anywhere; white-space: pre-line }
header { display: flex; flex-wrap: wrap; gap: .5rem; justify-content: space-between }
small, time { color: #666 } @media (prefers-color-scheme: dark) { small, time { color: #aaa } }
label { display: block }
input { font: inherit; padding: .5rem; width: 100%; box-sizing: border-box }
button { font: inherit; margin: .5rem 0; min-height: 2.75rem; padding: 0 1rem }
</style>
</head>
<body>
<header><h1>$title</h1><p><a href="/?lang=$lang" lang="$lang">$other</a></p></header>
<main>$messages
<details><summary>$write</summary><form method="post" action="/write?lang=$language">
<label>$from <input name="from" required inputmode="tel"></label>
<label>$text <input name="text" required></label><button>$send</button></form></details>
<details><summary>$call</summary><form method="post" action="/call?lang=$language">
<label>$from <input name="from" required inputmode="tel"></label>
<label>$to <input name="to" required inputmode="tel"></label><button>$dial</button></form></details>
</main>
<p><small>$note</small></p>
</body>
</html>
""")


def inbox(request: Request, entries: list[dict[str, Any]]) -> Response:
    """Everything that was sent, newest first."""
    language = language_of(request)
    words = {name: escape(value) for name, value in _WORDS[language].items()}
    shown = "".join(_article(entry) for entry in reversed(entries[-100:]))
    text = _PAGE.substitute(words, language=language, messages=shown or f"<p>{words['none']}</p>")
    headers = {"Cache-Control": "no-store"}
    return Response(text.encode(), 200, "text/html; charset=utf-8", headers)


def language_of(request: Request) -> str:
    """What was chosen, else what the browser likes."""
    chosen = request.query.get("lang", "")
    if chosen in _WORDS:
        return chosen
    return "ru" if request.headers.get("accept-language", "").lower().startswith("ru") else "en"


def _article(entry: dict[str, Any]) -> str:
    subject = f"<p><strong>{escape(entry['subject'])}</strong></p>" if entry.get("subject") else ""
    time = str(entry["at"])
    return (
        f'<article data-channel="{escape(entry["channel"])}"><header>'
        f"<strong>{escape(entry['to'])}</strong>"
        f'<time datetime="{escape(time)}">{escape(time[11:19])} UTC</time></header>'
        f"{subject}<p>{escape(entry['text'])}</p></article>"
    )
