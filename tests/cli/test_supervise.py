"""Processes started together end together, whatever happens to any of them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.cli.children import (
    DOOMED,
    FRAIL,
    MORTAL,
    POLITE,
    STUBBORN,
    python,
    until,
    wait_for_bytes,
)
from walletsvc.cli.supervise import Supervisor, _Child, port_is_free
from walletsvc.core.errors import ConfigurationError
from walletsvc.core.processes import parent_mark


def test_a_child_that_never_worked_stops_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named, the rest is ended gracefully, and its exit code becomes everybody's."""
    note, go = tmp_path / "note", tmp_path / "go"
    with Supervisor() as supervisor:
        supervisor.start("steady", python(POLITE, note), ready=note.exists)
        supervisor.start("frail", python(FRAIL, go))
        go.touch()
        assert supervisor.run_until_signal() == 3
    assert note.read_text() == "ready asked "
    assert capsys.readouterr().err == (
        "walletsvc: frail stopped unexpectedly (exit code 3); stopping the others.\n"
    )


def test_a_killed_child_is_started_again(tmp_path: Path) -> None:
    """Also when it dies at once, and twice; the others notice nothing, and all stop as ever."""
    note, deaths = tmp_path / "note", tmp_path / "deaths"
    with Supervisor() as supervisor:
        supervisor.start("steady", python(POLITE, note), ready=note.exists)
        supervisor.start("frail", python(MORTAL, deaths, "os.kill(os.getpid(), 9)"))

        def ask() -> None:
            until(lambda: deaths.exists() and deaths.read_text() == "+++")
            os.kill(os.getpid(), signal.SIGTERM)

        asker = threading.Thread(target=ask)
        asker.start()
        with capture_logs() as lines:
            assert supervisor.run_until_signal() == 0
        asker.join()
    assert note.read_text() == "ready asked "
    died = [line for line in lines if line["log_level"] == "error"]
    assert [line["part"] for line in died] == ["frail", "frail"]
    assert all("signal 9" in line["outcome"] for line in died)
    # Half the longest wait at least; it doubles.
    assert 0.5 <= died[0]["in_seconds"] <= 1
    assert 1 <= died[1]["in_seconds"] <= 2


def test_a_child_that_worked_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it ended with; and one that ran well for a while starts with short waits again."""
    monkeypatch.setattr("walletsvc.cli.supervise._TRIAL_SECONDS", 0.0)
    monkeypatch.setattr("walletsvc.cli.supervise._STEADY_SECONDS", 0.0)
    deaths = tmp_path / "deaths"
    with Supervisor() as supervisor:
        supervisor.start("frail", python(MORTAL, deaths, "sys.exit(3)"))

        def ask() -> None:
            until(lambda: deaths.exists() and deaths.read_text() == "+++")
            os.kill(os.getpid(), signal.SIGTERM)

        asker = threading.Thread(target=ask)
        asker.start()
        with capture_logs() as lines:
            assert supervisor.run_until_signal() == 0
        asker.join()
    died = [line for line in lines if line["log_level"] == "error"]
    assert [line["outcome"] for line in died] == ["exit code 3", "exit code 3"]
    assert all(line["in_seconds"] <= 1 for line in died)


def test_the_wait_grows_up_to_half_a_minute() -> None:
    """A part that cannot live must not take the machine with it."""
    process = subprocess.Popen(["true"])
    process.wait()
    child = _Child("frail", [], {}, process)
    waits = [child.next_wait() for _ in range(12)]
    assert all(min(2**n, 30) / 2 <= wait <= min(2**n, 30) for n, wait in enumerate(waits))


def test_a_signal_ends_the_wait_for_a_new_start(tmp_path: Path) -> None:
    """Ctrl-C does not wait until the dead child is there again."""
    note = tmp_path / "note"
    with Supervisor() as supervisor:
        supervisor.start("frail", python(POLITE, note), ready=note.exists)
        child = supervisor._children[0]
        child.ends = 10
        child.process.kill()

        def ask() -> None:
            until(lambda: child.due is not None)
            os.kill(os.getpid(), signal.SIGTERM)

        asker = threading.Thread(target=ask)
        asker.start()
        before = time.monotonic()
        assert supervisor.run_until_signal() == 0
        assert time.monotonic() - before < 10  # it would have been 15 at least
        asker.join()
    assert note.read_text() == "ready "


@contextmanager
def _heard(number: signal.Signals) -> Iterator[None]:
    """The tests themselves may run where it is ignored, as under nohup."""
    before = signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_graceful_and_passed_on_once(tmp_path: Path, number: signal.Signals) -> None:
    """However often the supervisor is asked to end, a child is asked once and may finish."""
    notes = [tmp_path / "a", tmp_path / "b"]
    with _heard(number), Supervisor() as supervisor:
        for note in notes:
            supervisor.start(note.name, python(POLITE, note), ready=note.exists)

        def ask() -> None:
            until(lambda: supervisor._deferring)  # once it waits in run_until_signal
            for _ in range(3):
                os.kill(os.getpid(), number)

        asker = threading.Thread(target=ask)
        asker.start()
        assert supervisor.run_until_signal() == 0
        asker.join()
    assert [note.read_text() for note in notes] == ["ready asked ", "ready asked "]


def test_a_signal_ends_the_block_it_meets(tmp_path: Path) -> None:
    """Ctrl-C between starting and waiting ends the block and stops what was started."""
    note = tmp_path / "note"
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as caught, Supervisor() as supervisor:
        supervisor.start("steady", python(POLITE, note), ready=note.exists)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("went on after the signal")
    assert caught.value.code == 130
    assert note.read_text() == "ready asked "
    assert signal.getsignal(signal.SIGINT) == before


def test_a_signal_ends_the_wait_for_readiness(tmp_path: Path) -> None:
    """A child that never gets ready does not hold up Ctrl-C."""
    note = tmp_path / "note"

    def ready() -> bool:
        if note.exists():
            os.kill(os.getpid(), signal.SIGTERM)
        return False

    with pytest.raises(SystemExit) as caught, Supervisor() as supervisor:
        supervisor.start("slow", python(POLITE, note), ready=ready)
    assert caught.value.code == 143
    assert note.read_text() == "ready asked "


def test_a_stubborn_child_is_killed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who ignores SIGTERM is killed after the grace time, and named."""
    note = tmp_path / "note"
    with Supervisor(grace=0.2) as supervisor:
        supervisor.start("mule", python(STUBBORN, note), ready=note.exists)
        process = supervisor._children[0].process
    assert process.returncode == -signal.SIGKILL
    assert "mule did not stop within 0.2 s and is killed." in capsys.readouterr().err


def test_what_a_child_leaves_behind_is_killed(tmp_path: Path) -> None:
    """A child's own children do not outlive it."""
    fifo, note = tmp_path / "held", tmp_path / "note"
    os.mkfifo(fifo)
    code = (
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import sys, signal;"
        'held = open(sys.argv[1], "wb", buffering=0);held.write(b"+");'
        "signal.pause()', sys.argv[1]])\n"
    )
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with Supervisor() as supervisor:
        supervisor.start("parent", python(code + POLITE.replace("argv[1]", "argv[2]"), fifo, note))
        assert wait_for_bytes(reader, 1) == b"+"
    assert wait_for_bytes(reader, 1) == b""
    os.close(reader)


def test_sigkill_of_the_supervisor_leaves_no_child(tmp_path: Path) -> None:
    """Children of a killed supervisor end, also one that ignores SIGTERM."""
    fifo = tmp_path / "held"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    doomed = subprocess.Popen(python(DOOMED, fifo))
    try:
        assert wait_for_bytes(reader, 2) == b"++"
    finally:
        doomed.kill()
        doomed.wait()
    # End of file: no process holds the pipe any more.
    assert wait_for_bytes(reader, 1) == b""
    os.close(reader)


def test_a_parent_that_was_gone_before_is_noticed() -> None:
    """A child whose parent died before it could ask to be told ends all the same."""
    gone = subprocess.run(
        python("from walletsvc.core.processes import parent_mark as p; print(*p().values())"),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    code = (
        "from walletsvc.core.processes import *; die_with_parent(); import signal; signal.pause()"
    )
    env = {**os.environ, **dict.fromkeys(parent_mark(), gone)}
    assert subprocess.run(python(code), env=env, timeout=20, check=False).returncode == -15


def test_a_failing_start_is_one_clear_line(tmp_path: Path) -> None:
    """What cannot be started, ends at once or never gets ready is named in an error."""
    with Supervisor() as supervisor:
        with pytest.raises(ConfigurationError, match=r"^web cannot be started: No such file"):
            supervisor.start("web", [str(tmp_path / "missing")])
        with pytest.raises(ConfigurationError, match=r"^web is not ready after 0\.1 s\.$"):
            supervisor.start(
                "web", python(FRAIL, tmp_path / "never"), ready=lambda: False, timeout=0.1
            )
    with (
        Supervisor() as supervisor,
        pytest.raises(ConfigurationError, match=r"^web stopped while starting: exit code 4\.$"),
    ):
        supervisor.start("web", python("import sys; sys.exit(4)"), ready=lambda: False)


def test_a_taken_port_is_one_clear_line() -> None:
    """The error names the port and the setting; a free port passes."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        port_is_free("127.0.0.1", free_port())
        other.listen()
        with pytest.raises(ConfigurationError) as caught:
            port_is_free("127.0.0.1", port)
    assert caught.value.detail == (
        f"port {port} is taken: stop the other program or set WALLETSVC_PORT"
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_an_address_of_another_machine_is_refused() -> None:
    """An address that is not ours cannot be listened on; the line says which."""
    with pytest.raises(ConfigurationError, match=r"^nothing can listen on 192\.0\.2\.1, port 80"):
        port_is_free("192.0.2.1", 8000)
