"""The stand-ins for outside services, and where they are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import click

from walletsvc.apple.authorities import INTERMEDIATE, REPOSITORY_CERTS
from walletsvc.cli.settings import load_settings
from walletsvc.core.processes import die_with_parent
from walletsvc.emulators import apns, google, mail, sms
from walletsvc.settings import PREFIX
from walletsvc.storage import data_dir

GOOGLE_FOLDER: Final = "google"  # below the emulators' folder


def google_url(emulator_port: int) -> str:
    """Where the emulator of Google Wallet is: behind Apple's and its control interface."""
    return f"http://127.0.0.1:{emulator_port + 2}"


def sms_url(emulator_port: int) -> str:
    """Where the emulator of SMS providers is, and its inbox: behind Google's."""
    return f"http://127.0.0.1:{emulator_port + 3}"


@click.group(invoke_without_command=True)
@click.pass_context
def emulators(context: click.Context) -> None:
    """Run stand-ins for outside services on loopback: Apple's push service, Google Wallet, SMS and
    mail providers."""
    if context.invoked_subcommand is not None:
        return
    loaded = load_settings()
    die_with_parent()
    folder = loaded.data_dir / "emulators"
    data_dir.prepare_data_dir(folder)
    apns.create_identity(folder)
    trusted = [
        loaded.certs_dir / f"{INTERMEDIATE}.pem",
        *REPOSITORY_CERTS.glob("*.pem"),
    ]
    with (
        google.GoogleEmulator(loaded.emulator_port + 2, folder / GOOGLE_FOLDER),
        sms.SmsEmulator(loaded.emulator_port + 3) as phones,
        mail.MailEmulator(phones.desk.note, loaded.emulator_port + 4),
    ):
        apns.run(folder, loaded.emulator_port, trusted)


@emulators.command("google-key")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--issuer", default=google.DEFAULT_ISSUER, show_default=True, help="Its issuer id.")
@click.option(
    "--role",
    type=click.Choice(["OWNER", "WRITER", "READER", "NONE"]),
    default="WRITER",
    show_default=True,
    help="What the account may do for the issuer; NONE: it was never invited.",
)
def google_key(file: Path, issuer: str, role: str) -> None:
    """Write the key file of a new service account of the Google Wallet emulator.

    The emulator knows it at once, whether it runs or not.
    """
    # The setting may name the very file that is to be written: it is not read for this.
    for name in [name for name in os.environ if name.startswith(f"{PREFIX}GOOGLE_KEY")]:
        del os.environ[name]
    loaded = load_settings()
    folder = loaded.data_dir / "emulators"
    data_dir.prepare_data_dir(folder)
    url = google_url(loaded.emulator_port)
    invited = "" if role == "NONE" else role
    email = google.write_key(folder / GOOGLE_FOLDER, url, file, issuer, invited)
    click.echo(f"{email}, issuer {issuer}: WALLETSVC_GOOGLE_KEY_FILE={file}")
    click.echo(f"WALLETSVC_GOOGLE_URL={url} WALLETSVC_GOOGLE_PAY_URL={url}")
