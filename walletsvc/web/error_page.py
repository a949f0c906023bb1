"""The page people see when something is wrong: what it is, in their language, and no more."""

from __future__ import annotations

from typing import Final

from flask import current_app, render_template, request

from walletsvc.web import i18n

LANGUAGES: Final = ("ru", "en")
_AGAIN: Final = {"ru": "Попробовать ещё раз", "en": "Try again"}
_TRACE: Final = {
    "ru": "При обращении назовите номер:",
    "en": "If you ask us about this, please quote:",
}
_TEXTS: Final[dict[str, dict[int, tuple[str, str]]]] = {
    "ru": {
        400: ("Ошибка в адресе или в форме", "Проверьте, что вы ввели, и попробуйте ещё раз."),
        401: ("Нужно войти", "Войдите и откройте страницу снова."),
        403: ("Сюда нельзя", "У вас нет доступа к этой странице."),
        404: ("Такой страницы нет", "Проверьте ссылку: возможно, она скопирована не целиком."),
        429: ("Слишком много запросов", "Подождите немного и попробуйте ещё раз."),
        500: ("Что-то сломалось", "Мы уже записали ошибку. Попробуйте через несколько минут."),
        503: ("Сервис пока не отвечает", "Попробуйте ещё раз через минуту."),
    },
    "en": {
        400: ("Something in the request is wrong", "Check what you entered and try again."),
        401: ("Please sign in", "Sign in and open the page again."),
        403: ("Not allowed", "You have no access to this page."),
        404: ("There is no such page", "Check the link: part of it may be missing."),
        429: ("Too many requests", "Wait a little and try again."),
        500: ("Something broke", "The error is recorded. Please try again in a few minutes."),
        503: ("The service is not answering", "Please try again in a minute."),
    },
}


def _language() -> str:
    if "babel" in current_app.extensions:
        return i18n.language()
    return request.accept_languages.best_match(LANGUAGES) or LANGUAGES[0]


def _may_pass(status: int) -> bool:
    """Whether the same address may answer in a while: then the page offers to ask it again, which
    is only safe where nothing was sent."""
    return request.method == "GET" and (status == 429 or status >= 500)


def render_page(status: int, request_id: str) -> str:
    """The page for a status, within the product's own frame when the app has one."""
    texts = _TEXTS[language := _language()]
    heading, advice = texts.get(status) or texts[500 if status >= 500 else 400]
    frame = current_app.jinja_env.select_template(["base.html", "error_frame.html"])
    return render_template(
        "error.html",
        frame=frame,
        language=language,
        status=status,
        heading=heading,
        advice=advice,
        request_id=request_id,
        trace=_TRACE[language],
        again=_AGAIN[language] if _may_pass(status) else "",
    )
