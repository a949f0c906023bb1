"""Counters that all processes share."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from walletsvc.jobs import counters
from walletsvc.jobs.counter_buffer import CounterBuffer
from walletsvc.jobs.counters import histogram, series
from walletsvc.jobs.metrics import counted
from walletsvc.storage.engine import Database

DONE = series("pushes", pass_type="pass.a", answer="done")
RETRY = series("pushes", answer="retry", pass_type="pass.a")


def read(database: Database) -> dict[counters.Series, int]:
    with database.read_tx() as session:
        return counters.read(session)


def test_two_at_once_lose_nothing(database: Database) -> None:
    """Whatever the order in which they name the same counters."""

    def count(names: list[counters.Series]) -> None:
        for _ in range(50):
            with database.write_tx() as session:
                counters.add(session, dict.fromkeys(names, 2))

    threads = [
        threading.Thread(target=count, args=(names,)) for names in ([DONE, RETRY], [RETRY, DONE])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(database) == {DONE: 200, RETRY: 200}


def test_labels_come_back() -> None:
    """In whatever order they were given."""
    assert series("pushes", pass_type="pass.a", answer="retry") == RETRY
    assert counters.labels_of(RETRY) == {"answer": "retry", "pass_type": "pass.a"}
    assert counters.labels_of(series("bare")) == {}


def test_a_histogram_is_what_prometheus_makes_of_it() -> None:
    """Cumulated buckets, a sum in seconds, a count; a negative duration is none."""
    stored = histogram("delay_seconds", [0.01, 0.3, 0.4, 900.0, -5.0], lane="bulk")
    stored |= histogram("delay_seconds", [1.0], lane="interactive")
    samples = {
        (sample.name, sample.labels["lane"], sample.labels.get("le")): sample.value
        for family in exposed(stored)
        for sample in family.samples
    }
    name = "walletsvc_delay_seconds"
    assert samples[f"{name}_bucket", "bulk", "0.005"] == 1
    assert samples[f"{name}_bucket", "bulk", "0.01"] == 2
    assert samples[f"{name}_bucket", "bulk", "0.25"] == 2
    assert samples[f"{name}_bucket", "bulk", "0.5"] == 4
    assert samples[f"{name}_bucket", "bulk", "300"] == 4
    assert samples[f"{name}_bucket", "bulk", "+Inf"] == 5
    assert samples[f"{name}_count", "bulk", None] == 5
    assert samples[f"{name}_sum", "bulk", None] == pytest.approx(900.71)
    assert samples[f"{name}_bucket", "interactive", "1"] == 1
    assert samples[f"{name}_sum", "interactive", None] == 1


def test_counters_have_their_type_and_help() -> None:
    """The families that a scraper sees; a counter without a line of help is shown too."""
    families = {family.name: family for family in exposed({DONE: 3, RETRY: 1, series("new"): 2})}
    assert {name: family.type for name, family in families.items()} == {
        "walletsvc_pushes": "counter",
        "walletsvc_new": "counter",
    }
    assert all(family.documentation for family in families.values())
    assert [(s.labels["answer"], s.value) for s in families["walletsvc_pushes"].samples] == [
        ("done", 3),
        ("retry", 1),
    ]


def test_buffered_counts_are_written_soon_and_at_the_end(database: Database) -> None:
    """By themselves after a second; closing does not wait for that."""
    buffer = CounterBuffer(database)
    buffer.add({DONE: 1})
    buffer.add({DONE: 1})
    deadline = time.monotonic() + 20
    while read(database) != {DONE: 2}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    buffer.add({DONE: 1, RETRY: 4})
    database.close()
    assert read(database) == {DONE: 3, RETRY: 4}


def test_what_cannot_be_written_waits(database: Database) -> None:
    """A database that is away costs no count of a process that lives."""
    away = CounterBuffer(Database("postgresql://u@127.0.0.1:1/x"))
    away._closed = True  # no timer: the test says when
    away.add({DONE: 1})
    away.flush()
    away._database = database
    away.flush()
    assert read(database) == {DONE: 1}


def exposed(values: dict[counters.Series, int]) -> list[Metric]:
    """What a scraper reads of these counters."""

    class Given(Collector):
        def collect(self) -> Iterator[Metric]:
            return counted(values)

    registry = CollectorRegistry()
    registry.register(Given())
    return list(text_string_to_metric_families(generate_latest(registry).decode()))
