"""The demo shop's guests. Numbers are of ranges that are not given out."""

from __future__ import annotations

from typing import NamedTuple


class Member(NamedTuple):
    """Name, phone and language of one guest."""

    first_name: str
    last_name: str
    phone: str
    language: str


_NAMES = """
Анна Петрова|Дмитрий Соколов|Елена Кузнецова|Сергей Попов|Ольга Лебедева|Алексей Козлов
Наталья Новикова|Михаил Морозов|Ирина Волкова|Андрей Соловьёв|Татьяна Васильева|Иван Зайцев
Светлана Павлова|Павел Семёнов|Юлия Голубева|Артём Виноградов|Мария Богданова|Николай Воробьёв
Екатерина Фёдорова|Владимир Михайлов|Ксения Беляева|Константин Тарасов|Виктория Белова
Роман Комаров|Дарья Орлова|Георгий Киселёв|Полина Макарова|Тимофей Андреев|Алиса Ковалёва
Фёдор Ильин|Василиса Гусева|Лев Титов|Emma Lindqvist|James Carter|Sophie Müller|Liam O'Connor
Chiara Rossi|Noah Virtanen|Olivia Brown|Hugo Martin
"""


def _members() -> list[Member]:
    names = [name.strip() for name in _NAMES.replace("\n", "|").split("|") if name.strip()]
    members = []
    for number, name in enumerate(names):
        first, last = name.split(" ", 1)
        language = "en" if first.isascii() else "ru"
        members.append(Member(first, last, f"+7900000{1000 + number * 37:04d}", language))
    return members


PEOPLE = _members()

# Parents and a child; mother and daughter have one phone.
FAMILY = (
    Member("Ирина", "Лапина", "+79000090101", "ru"),
    Member("Егор", "Лапин", "+79000090138", "ru"),
    Member("Соня", "Лапина", "+79000090101", "ru"),
)
