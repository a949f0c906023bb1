"""`/metrics` in Prometheus' formats: every number is read from the database at the scrape.

Nothing is kept in the process, so it does not matter which of several web processes, or
which host, answers a scrape: all give the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final

import structlog
from flask import Blueprint, Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.core import InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from walletsvc import __version__
from walletsvc.core.errors import NotFound, Unauthenticated
from walletsvc.web.context import Deps
from walletsvc.web.insiders import is_insider

log = structlog.get_logger(__name__)

Source = Callable[[Session, datetime], Iterable[Metric]]

# A scrape must not be one more burden for a database that is in trouble.
_LIMIT: Final = text("SET LOCAL statement_timeout = '5s'")
_DOWN: Final = "The database does not answer, so there are no numbers.\n"


class _Collected(Collector):
    """Metrics that are computed already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        """All of them."""
        return self._families


def create(deps: Deps, sources: Sequence[Source]) -> Blueprint:
    """The blueprint; each source computes its metrics in the scrape's one transaction.

    Others than insiders learn nothing: without a token set there is no way in (404); with one,
    an operator whose scraper has the wrong token must see that it is the token (401).
    """
    blueprint = Blueprint("metrics", __name__)

    @blueprint.get("/metrics")
    def metrics() -> Response:
        token = deps.settings.metrics_token
        if not is_insider(token):
            if token is None:
                raise NotFound("There is nothing at this address.")
            raise Unauthenticated("Send WALLETSVC_METRICS_TOKEN as 'Authorization: Bearer'.")
        try:
            registry = _collect(deps, sources)
        except SQLAlchemyError as error:
            log.warning("the metrics could not be read", error=str(error).splitlines()[0])
            return Response(_DOWN, 503, mimetype="text/plain")
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(registry), content_type=content_type)

    return blueprint


def _collect(deps: Deps, sources: Sequence[Source]) -> CollectorRegistry:
    registry = CollectorRegistry()
    with deps.database.read_tx() as session:
        session.execute(_LIMIT)
        families = [family for source in sources for family in source(session, deps.clock())]
    version = InfoMetricFamily("walletsvc", "The version that answers.", {"version": __version__})
    registry.register(_Collected([version, *families]))
    return registry
