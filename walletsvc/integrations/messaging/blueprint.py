"""`/hooks/messages/<gateway>/<secret>/status`, `/inbound` and `/call`.

Gateways cannot sign in, so the address is the secret; it is in no log. What they tell is stored
and answered at once, and acted upon by a job. What is not understood is thanked for as well: to
be told it again would not help.
"""

from __future__ import annotations

from typing import Final

import structlog
from flask import Blueprint, Response, request

from walletsvc.core.errors import NotFound, TooLarge
from walletsvc.messaging import hooks
from walletsvc.messaging.protocol import Hook
from walletsvc.web.context import Deps

_MOST_BYTES: Final = 256 * 1024

log = structlog.get_logger(__name__)


def create(deps: Deps) -> Blueprint:
    """The blueprint."""
    blueprint = Blueprint("message_hooks", __name__)

    @blueprint.route("/hooks/messages/<gateway_id>/<secret>/<what>", methods=["GET", "POST"])
    def hook(gateway_id: str, secret: str, what: str) -> Response:
        if what not in hooks.WHATS:
            raise NotFound("There is nothing at this address.")
        if (request.content_length or 0) > _MOST_BYTES:
            raise TooLarge("A webhook is smaller than that.", limit=_MOST_BYTES)
        told = _hook()
        with deps.database.write_tx() as session:
            gateway = hooks.find_gateway(session, gateway_id, secret)
            thanks = hooks.receive(session, gateway, what, told, deps.clock())
        log.info("a gateway told something", gateway=gateway.public_id, what=what)
        return Response(thanks, mimetype="text/plain")

    return blueprint


def _hook() -> Hook:
    fields = {name: request.values.getlist(name) for name in request.values}
    return Hook(fields, request.get_json(silent=True) if request.is_json else None)
