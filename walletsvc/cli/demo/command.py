"""`walletsvc demo`: a whole shop on this machine, from nothing, in a minute."""

from __future__ import annotations

import os
import shlex
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import click

from walletsvc import app
from walletsvc.apple.identity import roots_dir
from walletsvc.cli import emulate, run
from walletsvc.cli.demo import doors, post
from walletsvc.cli.demo.introduction import SETTINGS_FILE, introduction
from walletsvc.cli.demo.seed import seed
from walletsvc.cli.demo.shop import Keys, Shop, new_keys
from walletsvc.cli.demo.story import Stage, Tills, play
from walletsvc.cli.settings import load_settings
from walletsvc.cli.supervise import Supervisor, port_is_free
from walletsvc.core.errors import WalletsvcError
from walletsvc.emulators import google
from walletsvc.emulators.android import AndroidPhone
from walletsvc.emulators.phone import Phone, Pushes, load_roots
from walletsvc.settings import PREFIX, Settings, load
from walletsvc.storage import data_dir
from walletsvc.storage.embedded import exclusive


@click.command()
@click.option(
    "--check",
    is_flag=True,
    help="Play the story on a fresh shop in a temporary folder, whatever WALLETSVC_DATA_DIR says; "
    "exit 0 or 1.",
)
def demo(check: bool) -> None:
    """Seed a demo shop, play its story with simulated phones, serve until Ctrl-C.

    The shop lives in the folder `demo` of the data directory, with the embedded database and
    emulators of outside services; an installation beside it is not touched.
    """
    wanted = load()
    with _folder(wanted, check) as folder:
        _become_demo(wanted, folder, free_ports=check)
        loaded = load_settings()
        with exclusive(loaded.data_dir, "demo"):
            code = _run(loaded, check)
    sys.exit(code)


def _run(loaded: Settings, check: bool) -> int:
    for port in (loaded.port, *range(loaded.emulator_port, loaded.emulator_port + 5)):
        name = "WALLETSVC_PORT" if port == loaded.port else "WALLETSVC_EMULATOR_PORT"
        port_is_free("127.0.0.1", port, name)
    with ExitStack() as stack:
        stack.enter_context(run.database_server(loaded))
        processes = stack.enter_context(Supervisor())
        installation = stack.enter_context(app.open_installation(loaded))
        click.echo("Opening the demo shop…")
        shop = seed(installation)
        posters = len(doors.print_posters(installation, shop))
        keys = new_keys(installation, shop)
        control = f"http://127.0.0.1:{loaded.emulator_port + 1}"
        processes.start(
            "emulators",
            run.command_line("emulators"),
            ready=run.answers(f"{emulate.google_url(loaded.emulator_port)}/_/state"),
            timeout=run.START_SECONDS,
        )
        post.open_accounts(installation)
        run.start_service(processes, installation)
        click.echo(introduction(installation, shop, keys, control, posters))
        try:
            _play(installation, shop, keys, control)
        except WalletsvcError as error:
            click.echo(f"The story stops here: {error.detail}", err=True)
            if check:
                return 1
            # What was changed in the shop may be in the story's way; the shop itself works.
            anew = f"rm -r {shlex.quote(str(loaded.data_dir))}"
            click.echo(f"The shop is served all the same. To begin anew: {anew}", err=True)
        if check:
            return 0
        code = processes.run_until_signal(
            started=lambda: click.echo("\nServing. Ctrl-C stops everything."),
            stopping=lambda: click.echo("\nStopping…"),
        )
        click.echo("Stopped. `make demo` goes on with the same data.")
        return code


def _play(installation: app.Installation, shop: Shop, keys: Keys, control: str) -> None:
    click.echo("\nThe story, with two simulated iPhones and an Android phone:")
    loaded = installation.settings
    roots = load_roots(roots_dir(loaded))
    with (
        Pushes(control) as pushes,
        Phone(pushes, roots=roots, language="en") as hers,
        Phone(pushes, roots=roots, language="en") as his,
        AndroidPhone(language="en") as android,
    ):
        play(Stage(installation, shop, Tills.of(loaded.base_url, keys), hers, his, android))


@contextmanager
def _folder(wanted: Settings, check: bool) -> Iterator[Path]:
    """Where the demo lives: beside the installation's data; for a check, where it goes again."""
    if not check:
        with nullcontext(wanted.data_dir.absolute() / "demo") as folder:
            yield folder
        return
    with tempfile.TemporaryDirectory(prefix="walletsvc-check-") as name:
        yield Path(name)


def _become_demo(wanted: Settings, folder: Path, *, free_ports: bool) -> None:
    """Point this process and its children at the demo's own database, ports and emulators."""
    port, emulator_port = wanted.port, wanted.emulator_port
    if free_ports:
        port, emulator_port = _free_ports()
    data_dir.prepare_data_dir(folder)
    folder.chmod(0o700)  # keys come into it; earlier releases made it for everybody to read
    google_url = emulate.google_url(emulator_port)
    google_key = folder / "emulators" / "google-key.json"
    google.ensure_key(folder / "emulators" / emulate.GOOGLE_FOLDER, google_url, google_key)
    env = run.environment(
        data_dir=folder,
        port=port,
        emulator_port=emulator_port,
        apns_url=f"https://127.0.0.1:{emulator_port}",
        apns_ca_file=folder / "emulators" / "ca.pem",
        google_issuer_id=google.DEFAULT_ISSUER,
        google_key_file=google_key,
        google_url=google_url,
        google_pay_url=google_url,
        log_format="console",
        log_level="warning",
    )
    os.environ.clear()
    os.environ.update(env)
    _write_down(env, folder / SETTINGS_FILE)


def _write_down(env: dict[str, str], file: Path) -> None:
    """The demo's settings for other shells, so that their commands mean this installation."""
    said = [
        f"export {name}={shlex.quote(value)}\n"
        for name, value in sorted(env.items())
        if name.startswith(PREFIX)
    ]
    file.write_text("".join(said), encoding="utf-8")
    file.chmod(0o600)


def _free_ports() -> tuple[int, int]:
    """A port for the web process, and the first of five neighbouring ones for the emulators."""
    while True:
        with ExitStack() as stack:
            web, first, *others = [stack.enter_context(socket.socket()) for _ in range(6)]
            web.bind(("127.0.0.1", 0))
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                for number, other in enumerate(others, 1):
                    other.bind(("127.0.0.1", port + number))
            except (OSError, OverflowError):
                continue
            return web.getsockname()[1], port
