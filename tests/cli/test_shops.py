"""`walletsvc organisation` and `branch`: who accepts what, and branches on and off."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from walletsvc.cli.main import walletsvc
from walletsvc.core.errors import InputError, NotFound, Refused
from walletsvc.storage.engine import Database


@pytest.fixture(autouse=True)
def _shops(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hotel and a spa, founded by command."""
    monkeypatch.setenv("WALLETSVC_DATABASE_URL", database.conninfo)
    monkeypatch.setenv("WALLETSVC_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WALLETSVC_SECRET_KEY", "test-secret-key-that-is-long-enough-0001")
    for slug in ("hotel", "spa"):
        run("organisation", "create", "--slug", slug, "--name", slug.title())


def run(*words: str) -> str:
    """A command's output; its deliberate error is raised."""
    result = CliRunner().invoke(walletsvc, list(words))
    if result.exception is not None:
        raise result.exception
    return result.output


def test_acceptance_from_the_command_line() -> None:
    """Accept, change what is taken, list, end."""
    assert run("organisation", "accept", "hotel", "spa") == (
        "'spa' accepts points and certificates of 'hotel'.\n"
    )
    run("organisation", "accept", "hotel", "spa", "--no-points")
    assert run("organisation", "acceptances") == "spa accepts certificates of hotel\n"
    assert run("organisation", "acceptances", "spa") == "spa accepts certificates of hotel\n"
    run("organisation", "unaccept", "hotel", "spa")
    assert run("organisation", "acceptances") == ""
    with pytest.raises(NotFound):
        run("organisation", "unaccept", "hotel", "spa")
    with pytest.raises(InputError):
        run("organisation", "accept", "hotel", "spa", "--no-points", "--no-certificates")
    with pytest.raises(NotFound):
        run("organisation", "accept", "hotel", "nobody")


def test_a_branch_goes_off_and_on() -> None:
    """By its id, as the list tells it."""
    run("branch", "create", "--organisation", "spa", "--name", "Невский")
    listed = run("branch", "list", "--organisation", "spa")
    branch_id, state, name = listed.split()
    assert (state, name) == ("on", "Невский")
    assert run("branch", "off", branch_id) == "Branch 'Невский' is off.\n"
    assert run("branch", "list", "--organisation", "spa").split()[1] == "off"
    assert run("branch", "on", branch_id) == "Branch 'Невский' is on.\n"
    assert run("branch", "list", "--organisation", "hotel") == ""
    with pytest.raises(NotFound):
        run("branch", "off", "nope")


def test_the_codes_of_a_programme() -> None:
    """Switched once, refused for certificates and for what there is not."""
    for kind in ("points", "gift"):
        run("programme", "create", "--organisation", "spa", "--slug", f"spa-{kind}", "--name", "S",
            "--kind", kind)  # fmt: skip
    said = run("programme", "codes", "spa-points", "time_based")
    assert said.startswith("Cards of 'spa-points' show time_based codes; job ")
    assert run("programme", "codes", "spa-points", "time_based") == (
        "Cards of 'spa-points' show time_based codes already.\n"
    )
    with pytest.raises(NotFound):
        run("programme", "codes", "nothing", "rolling")
    with pytest.raises(Refused):
        run("programme", "codes", "spa-gift", "rolling")
