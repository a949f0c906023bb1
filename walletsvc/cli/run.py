"""The processes of an installation: web, worker, emulators, and all of them together."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import click
import requests

from walletsvc import app, settings
from walletsvc.apple import devcerts, identity
from walletsvc.cli.supervise import Supervisor, port_is_free
from walletsvc.core.errors import ConfigurationError
from walletsvc.core.processes import die_with_parent
from walletsvc.emulators import apns
from walletsvc.settings import Settings
from walletsvc.storage.embedded import EmbeddedServer, exclusive
from walletsvc.web import logs

START_SECONDS = 120.0  # generous: a busy small machine is no reason to give up
PARTS = ("publish", "send", "jobs")
ROOT = Path(__file__).resolve().parent.parent.parent


def load_settings() -> Settings:
    """The settings, with logging set up as they say."""
    loaded = settings.load()
    logs.configure(loaded.log_format, loaded.log_level)
    return loaded


def database_server(loaded: Settings) -> AbstractContextManager[object]:
    """Keeps the embedded server up while the block runs; nothing for an outside one."""
    if loaded.database_url is not None:
        return nullcontext()
    app.prepare_data_dir(loaded.data_dir)
    return EmbeddedServer(loaded.data_dir / "postgres")


def command_line(*words: str) -> list[str]:
    """How to start another command of this program."""
    return [sys.executable, "-m", "walletsvc", *words]


def answers(url: str) -> Callable[[], bool]:
    """A check whether a web address of this machine answers with success."""

    def check() -> bool:
        try:
            return requests.get(url, timeout=1).ok
        except requests.RequestException:
            return False

    return check


@click.command()
def up() -> None:
    """Run web and worker in one process tree; Ctrl-C stops it."""
    loaded = load_settings()
    app.prepare_data_dir(loaded.data_dir)
    with exclusive(loaded.data_dir, "up"), database_server(loaded):
        port_is_free(loaded.host, loaded.port)
        with app.open_installation(loaded):
            pass  # checks and migrates before anything starts
        with Supervisor() as processes:
            start_service(processes, loaded)
            click.echo(f"walletsvc answers at {loaded.base_url} (Ctrl-C stops it)")
            code = processes.run_until_signal()
    sys.exit(code)


def start_service(processes: Supervisor, loaded: Settings, page: str = "healthz") -> None:
    """Start worker and web, and wait until the web process answers well on a page."""
    processes.start("worker", command_line("worker"))
    processes.start(
        "web",
        command_line("web"),
        ready=answers(f"http://{loaded.host}:{loaded.port}/{page}"),
        timeout=START_SECONDS,
    )


@click.command()
def web() -> None:
    """Serve pages, the REST interface and Apple's web service."""
    from granian import Granian
    from granian.constants import Interfaces

    loaded = load_settings()
    die_with_parent()
    port_is_free(loaded.host, loaded.port)
    with database_server(loaded):
        with app.open_installation(loaded):
            pass  # one clear line for what is wrong, before workers are forked
        Granian(
            "wsgi:app",
            address=loaded.host,
            port=loaded.port,
            interface=Interfaces.WSGI,
            blocking_threads=loaded.web_threads,
            workers_kill_timeout=10,
            working_dir=ROOT,
            log_enabled=False,
        ).serve()


@click.command()
@click.option(
    "--only",
    type=click.Choice(PARTS),
    help="Run one part in this process, for spreading the work over machines.",
)
def worker(only: str | None) -> None:
    """Publish changed passes, send pushes, run jobs: each in a process of its own."""
    loaded = load_settings()
    die_with_parent()
    if only is not None:
        _work(loaded, only)
        return
    with database_server(loaded), Supervisor() as processes:
        with app.open_installation(loaded):
            pass
        for part in PARTS:
            processes.start(part, command_line("worker", "--only", part))
        code = processes.run_until_signal()
    sys.exit(code)


def _work(loaded: Settings, part: str) -> None:
    with app.open_installation(loaded, pool_size=2) as installation:
        if part == "jobs":
            app.run_jobs(installation)
        elif part == "publish":
            app.run_publisher(installation, stop_on_signal())
        else:
            app.run_sender(installation, stop_on_signal())


def stop_on_signal() -> threading.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


@click.command()
def emulators() -> None:
    """Run stand-ins for outside services on loopback: Apple's push service."""
    loaded = load_settings()
    die_with_parent()
    folder = loaded.data_dir / "emulators"
    app.prepare_data_dir(folder)
    apns.create_identity(folder)
    trusted = [
        loaded.certs_dir / f"{devcerts.INTERMEDIATE}.pem",
        *identity.REPOSITORY_CERTS.glob("*.pem"),
    ]
    apns.run(folder, loaded.emulator_port, trusted)


@click.command()
def migrate() -> None:
    """Bring the database schema up to date."""
    with app.open_installation(load_settings()):
        click.echo("The schema is up to date.")


@click.command()
def doctor() -> None:
    """Check settings, database and certificates; exit 1 when something needs attention."""
    with app.open_installation(load_settings()) as installation:
        with installation.database.read_tx() as session:
            problems = identity.check(session, installation.settings, installation.clock())
        click.echo(f"data directory   {installation.settings.data_dir.absolute()}")
        click.echo(f"public address   {installation.settings.base_url}")
        click.echo("database         answers, schema up to date")
        for problem in problems:
            click.echo(f"problem          {problem.pass_type}: {problem.message}")
        if problems:
            raise ConfigurationError(f"{len(problems)} problem(s) found.")
        click.echo("certificates     in order")


def environment(**settings_: object) -> dict[str, str]:
    """The environment of a child process with settings changed; None takes one away."""
    env = dict(os.environ)
    for name, value in settings_.items():
        variable = f"{settings.PREFIX}{name.upper()}"
        env.pop(variable, None)
        env.pop(f"{variable}_FILE", None)
        if value is not None:
            env[variable] = str(value)
    return env
