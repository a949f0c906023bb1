"""One HTTP request to a gateway, and what its failure means."""

from __future__ import annotations

from typing import Annotated, Any, Final

import requests
from pydantic import AfterValidator, AnyHttpUrl, TypeAdapter

from walletsvc.messaging.protocol import Fault, GatewayError

_CONNECT_SECONDS: Final = 5.0
_READ_SECONDS: Final = 15.0
_URL: TypeAdapter[AnyHttpUrl] = TypeAdapter(AnyHttpUrl)


def _base(value: str) -> str:
    return str(_URL.validate_python(value)).rstrip("/")


BaseUrl = Annotated[str, AfterValidator(_base)]


def ask(
    url: str,
    *,
    form: dict[str, str] | None = None,
    json: Any = None,
    auth: tuple[str, str] | None = None,
    refusals: frozenset[int] = frozenset(),
) -> Any:
    """The JSON that a POST is answered with; also under a status of `refusals`.

    Keys travel in the body or a header, so that no address names them. Raises GatewayError: LATER
    where nothing can have been done, UNKNOWN where no answer says what was.
    """
    try:
        answer = requests.post(
            url,
            data=form,
            json=json,
            auth=auth,
            timeout=(_CONNECT_SECONDS, _READ_SECONDS),
            allow_redirects=False,
        )
    except requests.exceptions.SSLError:
        raise GatewayError("Its TLS certificate is not trusted.", Fault.CONFIGURATION) from None
    except (requests.ConnectTimeout, requests.exceptions.ProxyError):
        raise GatewayError("It cannot be reached.", Fault.LATER) from None
    except requests.ConnectionError as error:
        raise _broken(error) from None
    except requests.RequestException:
        raise GatewayError("It did not answer in time.", Fault.UNKNOWN) from None
    return _read(answer, refusals)


def _broken(error: requests.ConnectionError) -> GatewayError:
    # A connection that was never made cannot have carried the message.
    if "NewConnectionError" in repr(error) or "NameResolutionError" in repr(error):
        return GatewayError("It cannot be reached.", Fault.LATER)
    return GatewayError("The connection broke before it answered.", Fault.UNKNOWN)


def _read(answer: requests.Response, refusals: frozenset[int]) -> Any:
    status = answer.status_code
    if status in (401, 403) and status not in refusals:
        raise GatewayError(f"It does not accept our key (HTTP {status}).", Fault.CONFIGURATION)
    if status == 429:
        raise GatewayError("It was asked too often.", Fault.LATER, wait=_wait(answer))
    if status in (502, 503):
        raise GatewayError(f"It is out of order (HTTP {status}).", Fault.LATER)
    if status >= 500:
        raise GatewayError(f"It failed (HTTP {status}).", Fault.UNKNOWN)
    if status != 200 and status not in refusals:
        raise GatewayError(
            f"Something else answers at its address (HTTP {status}).", Fault.CONFIGURATION
        )
    try:
        return answer.json()
    except ValueError:
        raise GatewayError("Its answer cannot be read.", Fault.UNKNOWN) from None


def _wait(answer: requests.Response) -> float:
    told = answer.headers.get("Retry-After", "")
    return float(told) if told.isdigit() else 30.0


def minor_units(amount: Any) -> int | None:
    """A price as gateways write it (`"3.50"`, `3.5`), in hundredths; None where it is none."""
    try:
        return round(float(str(amount)) * 100)
    except ValueError:
        return None
