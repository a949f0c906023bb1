"""The processes of an installation: web, worker, and all of them together."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import click
import requests
import structlog
from sqlalchemy.exc import OperationalError

from walletsvc import app
from walletsvc.cli.settings import load_settings
from walletsvc.cli.supervise import Supervisor, port_is_free
from walletsvc.core.errors import ConfigurationError
from walletsvc.core.processes import (
    die_with_parent,
    keep_what_there_is,
    keeping_all,
    parent_mark,
)
from walletsvc.google.sending import running
from walletsvc.settings import PREFIX, Settings
from walletsvc.storage import data_dir
from walletsvc.storage.embedded import EmbeddedServer, exclusive

log = structlog.get_logger(__name__)

WATCH_SECONDS = 2.0
PATIENCE_SECONDS = 60.0  # of processes whose supervisor saw the database answer
WEB_GRACE_SECONDS = 10  # for requests under way when the server is asked to end
START_SECONDS = 120.0  # generous: a busy small machine is no reason to give up
PARTS = ("publish", "send", "google", "messages", "jobs")
ROOT = Path(__file__).resolve().parent.parent.parent


@contextmanager
def database_server(loaded: Settings) -> Iterator[None]:
    """Keeps the embedded server up while the block runs, also when it dies; an outside one is
    somebody else's."""
    if loaded.database_url is not None:
        yield
        return
    data_dir.prepare_data_dir(loaded.data_dir)
    with EmbeddedServer(loaded.data_dir / "postgres") as server:
        ended = threading.Event()
        watch = threading.Thread(target=_keep_up, args=(server, ended), daemon=True)
        watch.start()
        try:
            yield
        finally:
            ended.set()
            watch.join()


def _keep_up(server: EmbeddedServer, ended: threading.Event) -> None:
    while not ended.wait(WATCH_SECONDS):
        try:
            server.ensure()
        except (ConfigurationError, OSError, TimeoutError):
            log.exception("the embedded database cannot be started again")


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
    data_dir.prepare_data_dir(loaded.data_dir)
    with exclusive(loaded.data_dir, "up"), database_server(loaded):
        port_is_free(loaded.host, loaded.port)
        # More time than the worker's own supervisor gives its parts.
        with Supervisor(grace=30) as processes:
            # Opened here first: it migrates, and says what is wrong before anything starts.
            with app.open_installation(loaded, pool_size=2) as installation:
                start_service(processes, installation)
            code = processes.run_until_signal(
                started=lambda: click.echo(
                    f"walletsvc answers at {loaded.base_url} (Ctrl-C stops it)"
                ),
                stopping=lambda: click.echo("Stopping…"),
            )
    sys.exit(code)


def start_service(processes: Supervisor, installation: app.Installation) -> None:
    """Start worker and web, and wait until all of their processes do their work."""
    loaded = installation.settings
    processes.start("worker", command_line("worker"))
    processes.start(
        "web",
        command_line("web"),
        ready=answers(f"http://{loaded.host}:{loaded.port}/healthz"),
        timeout=START_SECONDS,
    )
    processes.wait("worker", lambda: _at_work(installation), timeout=START_SECONDS)


def _at_work(installation: app.Installation) -> bool:
    try:
        return not app.absent_workers(installation)
    except OperationalError:
        return False  # a database that is restarted just now


@click.command()
def web() -> None:
    """Serve pages, the REST interface and Apple's web service."""
    from granian import Granian
    from granian.constants import Interfaces

    loaded = load_settings()
    die_with_parent()
    port_is_free(loaded.host, loaded.port)
    with database_server(loaded):
        # One clear line for what is wrong, before workers are forked.
        with app.open_installation(loaded) as installation:
            app.report_certificates(installation)
        os.environ.update(parent_mark())  # for the workers that the server forks
        with keeping_all():
            import_module("walletsvc.app.web")  # which they share with this process then
        server = Granian(
            "wsgi:app",
            address=loaded.host,
            port=loaded.port,
            interface=Interfaces.WSGI,
            workers=loaded.web_processes,
            blocking_threads=loaded.web_threads,
            respawn_failed_workers=True,
            workers_kill_timeout=WEB_GRACE_SECONDS,
            working_dir=ROOT,
            log_enabled=False,
        )
        try:
            server.serve()
        except SystemExit:
            # Ctrl-C reaches the workers as well, and a worker that ends first is no failure.
            if not server.interrupt_signal:
                raise


@click.command()
@click.option(
    "--only",
    type=click.Choice(PARTS),
    help="Run one part in this process, for spreading the work over machines.",
)
def worker(only: str | None) -> None:
    """Publish changed passes, tell Apple and Google, send messages, run jobs: each in a process."""
    loaded = load_settings()
    die_with_parent()
    if only is not None:
        _work(loaded, only)
        return
    running.check(loaded)
    with database_server(loaded), Supervisor() as processes:
        with app.open_installation(loaded) as installation:
            app.report_certificates(installation)
        for part in PARTS:
            if part == "google" and not loaded.google_issuer_id:
                continue
            processes.start(part, command_line("worker", "--only", part))
        code = processes.run_until_signal()
    sys.exit(code)


def _work(loaded: Settings, part: str) -> None:
    # One for each thread that carries something to Google, or a message.
    pool = 6 if part in ("google", "messages") else 2
    with app.open_installation(loaded, pool_size=pool, patience=PATIENCE_SECONDS) as installation:
        keep_what_there_is()
        if part == "jobs":
            app.run_jobs(installation, stop_on_signal())
        elif part == "messages":
            app.run_messages(installation, stop_on_signal())
        elif part == "publish":
            app.run_publisher(installation, stop_on_signal())
        elif part == "google":
            parts = installation.settings, installation.database, installation.clock
            running.run(*parts, stop_on_signal())
        else:
            app.run_sender(installation, stop_on_signal())


def stop_on_signal() -> threading.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


@click.command()
def migrate() -> None:
    """Bring the database schema up to date."""
    with app.open_installation(load_settings()):
        click.echo("The schema is up to date.")


def environment(**values: object) -> dict[str, str]:
    """The environment of a child process with these settings and no others."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    for name, value in values.items():
        if value is not None:
            env[f"{PREFIX}{name.upper()}"] = str(value)
    return env
