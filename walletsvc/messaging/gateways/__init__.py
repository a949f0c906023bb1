"""Who carries messages: one file per provider. Others come by the entry-point group
`walletsvc.gateways`, whose entries name adapter classes."""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Final

from pydantic import SecretStr, ValidationError

from walletsvc.core.errors import ConfigurationError, FieldError, InputError, wrong
from walletsvc.messaging.gateways.smsaero import SmsAero
from walletsvc.messaging.gateways.smsc import Smsc, SmscCall
from walletsvc.messaging.gateways.smsru import SmsRu, SmsRuCall
from walletsvc.messaging.gateways.smtp import Smtp
from walletsvc.messaging.models import Gateway
from walletsvc.messaging.protocol import BASES, Adapter, GatewayConfig

GROUP: Final = "walletsvc.gateways"
OWN: Final[tuple[type[Adapter], ...]] = (SmsAero, Smsc, SmsRu, Smtp, SmscCall, SmsRuCall)


@cache
def known() -> dict[str, type[Adapter]]:
    """Every adapter of this installation by its kind; raises ConfigurationError for a third
    party's that is none."""
    found: dict[str, type[Adapter]] = {adapter.kind: adapter for adapter in OWN}
    for entry in entry_points(group=GROUP):
        adapter = entry.load()
        if not (isinstance(adapter, type) and issubclass(adapter, BASES)):
            raise ConfigurationError(f"{entry.value} is not a gateway's class ({GROUP}).")
        found[adapter.kind] = adapter
    return found


def adapter_of(gateway: Gateway) -> Adapter:
    """What speaks to this gateway; raises ConfigurationError when its kind or its configuration
    is not known to this version."""
    adapter = known().get(gateway.kind)
    if adapter is None:
        raise ConfigurationError(f"No adapter for gateways of the kind {gateway.kind} is here.")
    try:
        return adapter(adapter.Config.model_validate_json(gateway.config))
    except ValidationError as error:
        field = error.errors(include_input=False, include_url=False)[0]["loc"]
        raise ConfigurationError(
            f"The configuration of the gateway {gateway.label} is not valid: "
            f"{'.'.join(map(str, field))}."
        ) from None


def check_config(kind: str, values: dict[str, Any]) -> str:
    """The configuration of a new gateway as it is stored; raises InputError naming the field."""
    adapter = known().get(kind)
    if adapter is None:
        raise wrong("kind", f"must be one of {', '.join(sorted(known()))}", "unknown")
    try:
        return dump(adapter.Config.model_validate(values))
    except ValidationError as error:
        fields = tuple(
            FieldError(".".join(map(str, each["loc"])), each["msg"], each["type"])
            for each in error.errors(include_input=False, include_url=False)
        )
        told = "; ".join(f"{field.field}: {field.message}" for field in fields)
        raise InputError(f"The configuration is not valid: {told}.", fields) from None


def dump(config: GatewayConfig) -> str:
    """A configuration with its secrets, for the encrypted column alone."""
    return json.dumps(
        {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in config
        }
    )
