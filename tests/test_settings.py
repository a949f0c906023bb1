"""Settings: where they are read from, and what is said of bad ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from walletsvc import settings
from walletsvc.core.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in settings.Settings.model_fields:
        monkeypatch.delenv(f"WALLETSVC_{name.upper()}", raising=False)


def test_defaults_need_no_environment() -> None:
    """A bare machine gets a working, local installation."""
    loaded = settings.load()
    assert loaded.base_url == "http://127.0.0.1:8000"
    assert loaded.database_url is None


def test_any_setting_is_read_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets of containers are files."""
    (tmp_path / "key").write_text("k" * 40 + "\n")
    monkeypatch.setenv("WALLETSVC_SECRET_KEY_FILE", str(tmp_path / "key"))
    secret = settings.load().secret_key
    assert secret is not None
    assert secret.get_secret_value() == "k" * 40


def test_a_value_and_a_file_at_once_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody should have to guess which one counted."""
    monkeypatch.setenv("WALLETSVC_PORT", "8001")
    monkeypatch.setenv("WALLETSVC_PORT_FILE", str(tmp_path / "port"))
    with pytest.raises(ConfigurationError, match="WALLETSVC_PORT_FILE"):
        settings.load()


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings end up in logs and tracebacks."""
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "s3cret" * 8)
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", "postgresql://u:s3cret@h/d")
    assert "s3cret" not in repr(settings.load())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "x"),
        ("PUBLIC_URL", "https://cards.example.com/path"),
        ("PUBLIC_URL", "http://cards.example.com"),
        ("PUBLIC_URL", "cards"),
        ("TRUSTED_PROXIES", "nobody"),
        ("LOG_FORMAT", "xml"),
        ("SECRET_KEY", "short"),
        ("SWEEP_SECONDS", "0"),
        ("SPELLING", "1"),
        ("SECRET_KEY_FILE", "/nonexistent/file"),
    ],
)
def test_a_bad_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The variable, so that nobody has to look for it; never the value of a secret."""
    monkeypatch.setenv(f"WALLETSVC_{name}", value)
    with pytest.raises(ConfigurationError, match=f"WALLETSVC_{name}") as raised:
        settings.load()
    assert "short" not in raised.value.detail


def test_proxies_are_addresses_and_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network may be written with any of its addresses."""
    monkeypatch.setenv("WALLETSVC_TRUSTED_PROXIES", "10.1.2.3/8, 127.0.0.1")
    assert settings.load().proxies == ["10.0.0.0/8", "127.0.0.1"]
