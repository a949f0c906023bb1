"""Random histories: the ledger and a small model agree after every step.

The normal run is some thousand steps, always the same; with WALLETSVC_TEST_LONG=1 it is a
hundred thousand, new ones each time.
"""

from __future__ import annotations

import os
import time
from datetime import datetime

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.ledger.machine import (
    CertificateMachine,
    CoalitionMachine,
    FamilyMachine,
    LedgerMachine,
)
from walletsvc.storage.engine import Database

LONG = bool(os.environ.get("WALLETSVC_TEST_LONG"))
KINDS = (LedgerMachine, FamilyMachine, CoalitionMachine, CertificateMachine)
HOW_MANY = settings(
    max_examples=600 if LONG else 16,
    stateful_step_count=50,
    derandomize=not LONG,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def run(
    kind: type[LedgerMachine], database: Database, now: datetime, capsys: pytest.CaptureFixture[str]
) -> None:
    """Many histories of one kind; says how many steps they had."""
    kind.database, kind.start, kind.steps = database, now, 0
    if not LONG:
        seed(KINDS.index(kind))(kind)  # or all kinds would draw the same
    began = time.monotonic()
    run_state_machine_as_test(kind, settings=HOW_MANY)
    if LONG:
        with capsys.disabled():
            print(f"\n{kind.__name__}: {kind.steps} steps, {time.monotonic() - began:.0f} s")


@pytest.mark.parametrize("kind", KINDS)
def test_random_histories_agree_with_the_model(
    kind: type[LedgerMachine],
    database: Database,
    now: datetime,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever happens leaves exactly the model's balances, lots, holds and books."""
    run(kind, database, now, capsys)
