"""The composition root: settings → database and adapters → blueprints and workers.

Nothing else decides which implementation is used where. `web` is not here: it takes as long to
import as all the rest, which serves no pages.
"""

from walletsvc.api.wallets import dialects
from walletsvc.app.installation import (
    Installation,
    PutRight,
    after_restore,
    assemble,
    event_handlers,
    open_database,
    open_installation,
)
from walletsvc.app.workers import (
    CHANNELS,
    LEDGER_CHECKS,
    absent_workers,
    bulk_runner,
    channels,
    job_blueprints,
    report_certificates,
    run_jobs,
    run_messages,
    run_publisher,
    run_sender,
)

__all__ = [
    "CHANNELS",
    "LEDGER_CHECKS",
    "Installation",
    "PutRight",
    "absent_workers",
    "after_restore",
    "assemble",
    "bulk_runner",
    "channels",
    "dialects",
    "event_handlers",
    "job_blueprints",
    "open_database",
    "open_installation",
    "report_certificates",
    "run_jobs",
    "run_messages",
    "run_publisher",
    "run_sender",
]
