"""Every knob of an installation: its name, type, default and meaning.

Each setting is read from the environment variable `WALLETSVC_<NAME>`, or from the file that
`WALLETSVC_<NAME>_FILE` names (for secrets in containers). Both at once is an error.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import AnyHttpUrl, Field, SecretStr, TypeAdapter, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from walletsvc.core.errors import ConfigurationError

PREFIX = "WALLETSVC_"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_URL: TypeAdapter[AnyHttpUrl] = TypeAdapter(AnyHttpUrl)


class Settings(BaseSettings):
    """The settings of one process; build it with `load()`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    database_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL to use, `postgresql://user:password@host/database`. "
        "Unset: an embedded server in the data directory.",
    )
    data_dir: Path = Field(
        default=Path("var"), description="Where keys, certificates and the embedded database live."
    )
    public_url: str = Field(
        default="",
        description="The address customers and phones reach, without a path. "
        "Must be https outside this machine. Unset: `http://127.0.0.1:<port>`.",
    )
    host: str = Field(default="127.0.0.1", description="The address the web process listens on.")
    port: int = Field(
        default=8000, ge=1, le=65535, description="The port the web process listens on."
    )
    web_threads: int = Field(default=8, ge=1, le=256, description="Threads of each web process.")
    web_processes: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes that share the port; one per core is enough. Each may hold "
        "WEB_THREADS and a few more database connections.",
    )
    secret_key: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Encrypts tokens and codes at rest; at least 32 characters. "
        "Unset: generated once into the data directory.",
    )
    cert_passphrase: SecretStr | None = Field(
        default=None,
        description="Opens the `.p12` or the encrypted key that `walletsvc certs import` is given; "
        "nothing else reads it.",
    )
    trusted_proxies: str = Field(
        default="",
        description="Comma-separated addresses of reverse proxies whose X-Forwarded-* headers "
        "count.",
    )
    apns_url: str = Field(
        default="https://api.push.apple.com",
        description="Apple's push service, or the emulator's address.",
    )
    apns_ca_file: Path | None = Field(
        default=None,
        description="Certificate authority of the push service, when it is an emulator.",
    )
    google_issuer_id: str = Field(
        default="",
        pattern=r"^[0-9]{0,30}$",
        description="The issuer id of the Google Wallet console. Unset: no card goes into Google "
        "Wallet, Android phones are offered the web card.",
    )
    google_key: SecretStr | None = Field(
        default=None,
        description="The service account's key, the JSON as Google gave it; best as "
        "`WALLETSVC_GOOGLE_KEY_FILE`.",
    )
    google_url: str = Field(
        default="https://walletobjects.googleapis.com",
        description="Google's Wallet API (and its batch endpoint), or the emulator's address.",
    )
    google_pay_url: str = Field(
        default="https://pay.google.com",
        description="Where save links lead and Google publishes the keys of its callbacks, or the "
        "emulator's address.",
    )
    google_requests_per_second: float = Field(
        default=20.0,
        gt=0,
        le=100_000,
        description="Requests per second and issuer, of all workers together; each part of a batch "
        "counts.",
    )
    emulator_port: int = Field(
        default=8190,
        ge=1,
        le=65531,
        description="First port of the emulators: pushes here, their control interface one above, "
        "Google Wallet two above, SMS providers three, a mail server four.",
    )
    metrics_token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Opens `/metrics` and the details of `/readyz` to others than this machine, "
        "as `Authorization: Bearer`; at least 16 characters.",
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="How log lines are written: for machines or for people."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least important level that is logged."
    )
    default_language: Literal["ru", "en"] = Field(
        default="ru", description="The language of pages for browsers that ask for neither."
    )
    timeline_days: int = Field(
        default=30,
        ge=1,
        le=3650,
        description="How long the timelines of passes and the lines that phones log are kept, "
        "in days.",
    )
    code_countries: str = Field(
        default="RU,KZ,BY",
        pattern=r"^[A-Za-z]{2}(\s*,\s*[A-Za-z]{2})*$",
        description="The countries (ISO 3166) the customers' phones are of, with commas between "
        "them. Codes to phones of others count against CODES_ABROAD_PER_HOUR as well.",
    )
    codes_per_hour: int = Field(
        default=2000,
        ge=1,
        le=10_000_000,
        description="How many codes that prove phones a programme sends within an hour at most, "
        "whoever asks for them: what an attack can cost.",
    )
    codes_abroad_per_hour: int = Field(
        default=20,
        ge=0,
        le=10_000_000,
        description="How many of them go to phones of countries beside CODE_COUNTRIES; 0: none.",
    )
    sweep_seconds: float = Field(
        default=2.0,
        gt=0,
        le=60,
        description="How often workers look for work that no signal announced.",
    )

    @field_validator("public_url", "apns_url", "google_url", "google_pay_url")
    @classmethod
    def _is_base_url(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(str(_URL.validate_python(value)))
        if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username:
            raise ValueError("must be an address without a path, such as https://cards.example.com")
        return value.rstrip("/")

    @field_validator("trusted_proxies")
    @classmethod
    def _are_addresses(cls, value: str) -> str:
        for part in filter(None, (p.strip() for p in value.split(","))):
            ipaddress.ip_network(part, strict=False)
        return value

    @property
    def base_url(self) -> str:
        """The public address without a trailing slash."""
        return self.public_url or f"http://127.0.0.1:{self.port}"

    @property
    def code_home(self) -> frozenset[str]:
        """The countries that the customers' phones are of."""
        return frozenset(part.strip().upper() for part in self.code_countries.split(","))

    @property
    def certs_dir(self) -> Path:
        """Private keys and issued certificates; 0700, files 0600, never in git."""
        return self.data_dir / "certs"

    @property
    def secret_file(self) -> Path:
        """The secret that was generated on first use, where none is configured."""
        return self.data_dir / "secret_key"

    @property
    def proxies(self) -> list[str]:
        """The trusted reverse proxies, as addresses and networks."""
        parts = (part.strip() for part in self.trusted_proxies.split(","))
        return [
            str(ipaddress.ip_network(part, strict=False)) if "/" in part else part
            for part in parts
            if part
        ]


# The settings library's words for what happens most, in the voice of the rest.
_WORDS = {
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "too_short": "must be at least {min_length} characters long",
    "literal_error": "must be {expected}",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}


def _from_files(environ: dict[str, str]) -> dict[str, str]:
    """Values of the `<NAME>_FILE` variables, by field name."""
    values: dict[str, str] = {}
    for name in Settings.model_fields:
        variable = f"{PREFIX}{name.upper()}_FILE"
        path = environ.get(variable)
        if not path or name.endswith("_file") or f"{name}_file" in Settings.model_fields:
            continue
        if f"{PREFIX}{name.upper()}" in environ:
            raise ConfigurationError(f"Set either {PREFIX}{name.upper()} or {variable}, not both.")
        try:
            values[name] = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigurationError(
                f"{variable} names {path}, which cannot be read: {error.strerror}."
            ) from error
    return values


def _refuse_unknown(environ: dict[str, str]) -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    known |= {f"{name}_FILE" for name in known}
    for name in environ:
        if name.startswith(PREFIX) and name not in known and not name.startswith(f"{PREFIX}TEST_"):
            raise ConfigurationError(
                f"{name} is not a setting of walletsvc; check its spelling in docs/settings.md."
            )


def load(**overrides: Any) -> Settings:
    """Read the settings from the environment.

    Raises ConfigurationError naming the variable and what is wrong with it.
    """
    environ = dict(os.environ)
    _refuse_unknown(environ)
    try:
        settings = Settings(**{**_from_files(environ), **overrides})
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        name = str(problem["loc"][0]).upper() if problem["loc"] else "settings"
        message = _WORDS.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
        message = message.format(**problem.get("ctx", {}))
        raise ConfigurationError(f"{PREFIX}{name}: {message}.") from error
    url = urlsplit(settings.base_url)
    if url.scheme != "https" and url.hostname not in LOOPBACK:
        raise ConfigurationError(
            f"{PREFIX}PUBLIC_URL must start with https:// outside this machine: "
            "phones refuse pass updates over plain http."
        )
    return settings
