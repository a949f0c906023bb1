"""Bulk jobs: work on many cards in small transactions, with progress, pause and resume.

A job is a row. A worker takes the next piece of it in one transaction that also moves the
cursor, so a worker that dies leaves nothing half-done and nothing is done twice. What a piece
is depends on the `kind`; the features bring their handlers.
"""

from __future__ import annotations

from walletsvc.jobs.bulk.models import BulkItem, BulkJob, BulkState
from walletsvc.jobs.bulk.service import BULK, begin

__all__ = ["BULK", "BulkItem", "BulkJob", "BulkState", "begin"]
