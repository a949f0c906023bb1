"""What many members cost at the till: scan, quote and purchase with 10 thousand and 2 million.

Every member has bought before. The figures are the median and the mean time of the three together
in the large shop, over 1.3 times that in the small one.
"""

from __future__ import annotations

import random
import statistics
import time
from typing import Final

from sqlalchemy import text

from bench import Result
from bench.books import Books, books, fill, fill_sales
from bench.selling import ITEMS, TILL, card_id, publish, scannable
from walletsvc.core.clock import utcnow
from walletsvc.programmes.rulebook.basket import Basket
from walletsvc.sales.purchasing import purchase
from walletsvc.sales.quoting import quote
from walletsvc.sales.sale import Caller, Reference, Sale
from walletsvc.sales.scanning import scan

NAME = "sales_growth"

_SMALL: Final = 10_000
_LARGE: Final = 2_000_000
_CREDITS: Final = 2
_TIMES: Final = 2_000
_GROWTH: Final = 1.3


def run() -> dict[str, Result]:
    """Scan, quote and purchase in milliseconds, over what they may cost."""
    return measure(_SMALL, _LARGE, _TIMES)


def measure(small: int, large: int, times: int) -> dict[str, Result]:
    """The figures for shops of these sizes, each from so many sales."""
    with books() as found:
        publish(found)
        fill_sales(found, fill(found, 1, small, credits_each=_CREDITS))
        before = _sell(found, small, times)
        fill_sales(found, fill(found, small + 1, large, credits_each=_CREDITS))
        after = _sell(found, large, times)
    return {
        f"{NAME}_{name}": Result(after[name], "ms", before[name] * _GROWTH, lower_is_better=True)
        for name in before
    }


def _sell(found: Books, members: int, times: int) -> dict[str, float]:
    """Milliseconds of a sale by its median and its mean; the first tenth warms the caches.

    Each sale is another member's, for a shop of many members seldom sees one twice.
    """
    database = found.installation.database
    dice = random.Random(members)
    asked = [dice.randint(1, members) for _ in range(times)]
    numbers = [scannable(found, number) for number in asked]
    with database.write_tx() as session:
        session.execute(text("DELETE FROM changes"))
    caller = Caller(found.organisation_id, None, TILL)
    basket = Basket.model_validate({"lines": ITEMS})
    seconds = []
    for place, (number, scanned) in enumerate(zip(asked, numbers, strict=True)):
        sale = Sale(basket=basket, currency="RUB", card=card_id(number), points=50)
        reference = Reference(f"bench-{members}", str(place))
        started = time.perf_counter()
        with database.write_tx() as session:
            scan(session, caller, scanned, utcnow())
        with database.write_tx() as session:
            quote(session, caller, sale, utcnow())
        with database.write_tx() as session:
            purchase(session, caller, sale, reference, utcnow())
        seconds.append(time.perf_counter() - started)
    measured = seconds[times // 10 :]
    print(
        f"  {members:,} members: median {statistics.median(measured) * 1000:.2f} ms,"
        f" mean {statistics.fmean(measured) * 1000:.2f} ms"
    )
    return {
        "median": statistics.median(measured) * 1000,
        "mean": statistics.fmean(measured) * 1000,
    }
