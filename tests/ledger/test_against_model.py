"""Random histories: the ledger and a small model agree after every step.

The normal run is some thousand steps, always the same; with WALLETSVC_TEST_LONG=1 it is a
hundred thousand, new ones each time.
"""

from __future__ import annotations

import os
import time
from datetime import datetime

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.ledger.families import CertificateMachine, CoalitionMachine, FamilyMachine
from tests.ledger.machine import LedgerMachine
from walletsvc.storage.engine import Database

LONG = bool(os.environ.get("WALLETSVC_TEST_LONG"))
KINDS = (LedgerMachine, FamilyMachine, CoalitionMachine, CertificateMachine)
ROUNDS = 135 if LONG else 3
ROUND = settings(
    max_examples=6,
    stateful_step_count=50,
    derandomize=True,  # what differs is the salt
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("kind", KINDS)
def test_random_histories_agree_with_the_model(
    kind: type[LedgerMachine],
    database: Database,
    now: datetime,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever happens leaves exactly the model's balances, lots, holds and books."""
    kind.database, kind.start, kind.steps = database, now, 0
    first = int(time.time()) if LONG else 1000 * KINDS.index(kind)
    began = time.monotonic()
    for kind.salt in range(first, first + ROUNDS):
        run_state_machine_as_test(kind, settings=ROUND)
    if LONG:
        with capsys.disabled():
            took = time.monotonic() - began
            print(f"\n{kind.__name__}, salt {first}: {kind.steps} steps, {took:.0f} s")
