"""`walletsvc certs`: signing certificates, from the request to Apple to their renewal."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click
import orjson

from walletsvc.apple import bundles, devcerts, identity, importing, inventory, signing_requests
from walletsvc.apple.importing import Imported, Outcome
from walletsvc.apple.inventory import Entry
from walletsvc.cli.context import open_runtime
from walletsvc.core.actor import SYSTEM
from walletsvc.core.clock import rfc3339, utcnow
from walletsvc.core.errors import ConfigurationError
from walletsvc.settings import Settings

DEV_PASS_TYPES = ("pass.dev.walletsvc.loyalty", "pass.dev.walletsvc.gift")
DEV_TEAM = "WALLETSVC0"
PORTAL = "https://developer.apple.com/account/resources/identifiers/list/passTypeId"
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def certs() -> None:
    """Signing certificates of the pass types."""


@certs.command()
@click.option(
    "--pass-type",
    "pass_types",
    multiple=True,
    default=DEV_PASS_TYPES,
    show_default=True,
    help="Pass type identifier; repeat it for several.",
)
@click.option("--team", default=DEV_TEAM, show_default=True, help="Team identifier.")
@click.option("--nfc", is_flag=True, help="Make them as Apple's for passes with NFC.")
def dev(pass_types: tuple[str, ...], team: str, nfc: bool) -> None:
    """Make development certificates; working ones are kept.

    They look like Apple's to every program, and no phone trusts them.
    """
    with open_runtime() as runtime:
        with runtime.database.write_tx() as session:
            made = devcerts.create(
                session,
                runtime.settings,
                pass_type_identifiers=pass_types,
                team_identifier=team,
                now=utcnow(),
                nfc=nfc,
            )
            lines = []
            for pass_type in made:
                row = identity.active_certificate(session, pass_type.id)
                until = f"{row.not_after:%Y-%m-%d}" if row is not None else "?"
                lines.append(f"{pass_type.identifier}: valid until {until}")
        for line in lines:
            click.echo(line)
        click.echo(f"Keys: {runtime.settings.certs_dir}")
        click.echo(f"Root to trust in tests: {identity.roots_dir(runtime.settings)}")


@certs.command()
@click.option("--pass-type", required=True, help="Pass type identifier, as registered at Apple.")
@click.option("--team", help="Team identifier; needed for a pass type that is new here.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the request there instead of to standard output.",
)
@click.option("--new", is_flag=True, help="Make another key although a request is pending.")
def csr(pass_type: str, team: str | None, out: Path | None, new: bool) -> None:
    """Make a key and the signing request for a Pass Type ID certificate, also to renew one.

    The key stays in the data directory and is not used before its certificate is imported.
    While a request is pending, the same one is shown again.
    """
    _refuse_overwriting(out)
    with open_runtime() as runtime, runtime.database.write_tx() as session:
        made = signing_requests.request(
            session, runtime.settings, pass_type=pass_type, team=team, another=new
        )
    if out is None:
        click.echo(made.pem.decode(), nl=False)
    else:
        try:
            out.write_bytes(made.pem)
        except OSError as error:
            raise ConfigurationError(f"{out} cannot be written: {error.strerror}.") from error
    key = "The pending request, again. Its key" if made.repeated else "The new key"
    steps = (
        f"{key} is {made.key_file}; back it up.",
        f"1. At {PORTAL} choose (or register) {pass_type} and 'Create Certificate'.",
        f"2. Upload {out or 'the request above, saved as a file'}.",
        "3. Download the certificate and run: walletsvc certs import pass.cer",
    )
    click.echo("\n".join(steps), err=out is None)


def _refuse_overwriting(out: Path | None) -> None:
    """Only a request may be written over: a slip of the hand must not cost a key."""
    if out is not None and out.exists() and b"CERTIFICATE REQUEST" not in out.read_bytes()[:4096]:
        raise ConfigurationError(f"{out} exists and is not a signing request; name another file.")


@certs.command("import")
@click.argument("file", type=_FILE)
@click.option("--key", type=_FILE, help="Its private key (PEM), when that was made elsewhere.")
@click.option("--pass-type", help="Confirm the pass type the certificate must be for.")
@click.option("--team", help="Confirm the team the certificate must be for.")
@click.option(
    "--passphrase-file", type=_FILE, help="Holds the passphrase of FILE or of its key, if any."
)
@click.option(
    "--replace-newer", is_flag=True, help="Activate it although a newer one is active already."
)
def import_(
    file: Path,
    key: Path | None,
    pass_type: str | None,
    team: str | None,
    passphrase_file: Path | None,
    replace_newer: bool,
) -> None:
    """Import a Pass Type ID certificate (.cer, .pem, .p12) and let it sign from now on.

    Everything is checked first. The former certificate is retired, and passes that were
    published are published once more. An intermediate certificate of Apple is kept for the
    certificates it issued.
    """
    with open_runtime() as runtime:
        settings = runtime.settings
        passphrase = _passphrase(settings, passphrase_file)
        bundle = bundles.read(_bytes(file), file.name, passphrase)
        if importing.holds_only_authorities(bundle) and key is None:
            for path in importing.import_authorities(settings, bundle, utcnow()):
                click.echo(f"Apple's intermediate certificate is kept as {path}.")
            return
        if key is not None:
            bundle = bundles.with_key(bundle, bundles.read(_bytes(key), key.name, passphrase))
        with runtime.database.write_tx() as session:
            done = importing.import_certificate(
                session,
                settings,
                bundle,
                pass_type=pass_type,
                team=team,
                replace_newer=replace_newer,
                actor=SYSTEM,
                now=utcnow(),
            )
        _tell(done, settings)


def _tell(done: Imported, settings: Settings) -> None:
    until = f"valid until {done.row.not_after:%Y-%m-%d}"
    match done.outcome:
        case Outcome.ACTIVE_ALREADY:
            click.echo(f"{done.pass_type}: this certificate is active already ({until}).")
        case Outcome.KEY_PUT_IN_PLACE:
            click.echo(f"{done.pass_type}: the certificate was known; its key is in place now.")
        case Outcome.ACTIVATED:
            click.echo(f"{done.pass_type}: signs with this certificate from now on, {until}.")
    click.echo(f"Key: {settings.certs_dir / done.row.key_file}")
    if done.job is not None:
        click.echo(f"{done.job.total} passes are published once more (job {done.job.public_id}).")


def _passphrase(settings: Settings, file: Path | None) -> str | None:
    if file is not None:
        try:
            return _bytes(file).decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise ConfigurationError(f"{file} is not text in UTF-8.") from None
    given = settings.cert_passphrase
    return given.get_secret_value() if given is not None else None


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(bundles.LARGEST + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error


@certs.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_(as_json: bool) -> None:
    """Show all signing certificates, and which of them signs on this machine."""
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        found = inventory.entries(session, runtime.settings, utcnow())
    if as_json:
        rows = [
            {
                **asdict(entry),
                "valid_from": rfc3339(entry.valid_from),
                "valid_until": rfc3339(entry.valid_until),
            }
            for entry in found
        ]
        click.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
        return
    if not found:
        click.echo("There is no signing certificate yet.")
    for entry in found:
        _show(entry)


def _show(entry: Entry) -> None:
    signs = ", signs here" if entry.signs else ""
    left = f"{entry.days_left} days left" if entry.days_left >= 0 else "expired"
    click.echo(f"{entry.pass_type}  {entry.state}{signs}")
    lines = {
        "team": entry.team,
        "issued by": entry.issued_by,
        "NFC": "yes" if entry.nfc else "no",
        "valid until": f"{entry.valid_until:%Y-%m-%d} ({left})",
        "fingerprint": entry.fingerprint[:16],
        "key file": entry.key_file + ("" if entry.key_present else " (missing on this machine)"),
    }
    for name, value in lines.items():
        click.echo(f"  {name:<12} {value}")


@certs.command()
def check() -> None:
    """Say whether every pass type can be signed for; exit 1 with the reasons if not.

    What will soon be wrong, pending requests and stray files are shown as well.
    """
    with open_runtime() as runtime:
        with runtime.database.read_tx() as session:
            problems = identity.check(session, runtime.settings, utcnow())
            remarks = inventory.remarks(session, runtime.settings)
        for problem in problems:
            click.echo(f"{problem.severity}: {problem}", err=True)
        for remark in remarks:
            click.echo(f"note: {remark}")
        if any(problem.severity is identity.Severity.ERROR for problem in problems):
            sys.exit(1)
        click.echo("All signing certificates work.")
