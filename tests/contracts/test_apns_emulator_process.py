"""The push emulator as a process: who is let in, how much it bears, how it starts and stops."""

from __future__ import annotations

import secrets
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import orjson
import pycurl
import pytest
from cryptography import x509
from hyperframe.frame import GoAwayFrame

from tests.contracts.apns_client import Client, Emulator, new_token
from tests.contracts.chains import Chain, Credential
from tests.contracts.conftest import TOPIC, await_listening, free_ports, start_emulator
from walletsvc.core.errors import ConfigurationError
from walletsvc.emulators.apns import create_identity

OTHER_TOPIC = "pass.com.example.gift"

Start = Callable[[list[Path]], tuple[Emulator, subprocess.Popen[str]]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts an emulator of the test's own."""
    processes = []

    def begin(trust: list[Path]) -> tuple[Emulator, subprocess.Popen[str]]:
        folder = tmp_path / "apns"
        while True:
            port = free_ports()
            process = start_emulator(folder, port, trust)
            processes.append(process)
            if await_listening(process, port + 1):
                return Emulator(port, folder / "ca.pem"), process

    yield begin
    for process in processes:
        process.terminate()
        process.communicate(timeout=10)


def refused(emulator: Emulator, credential: Credential | None, words: str) -> None:
    """The connection ends with a TLS alert that says why."""
    with pytest.raises(ssl.SSLError, match=words), Client(emulator, credential) as client:
        client.push(new_token())


# Certificates


def test_a_certificate_is_demanded(emulator: Emulator) -> None:
    """Without a client certificate nobody gets in."""
    refused(emulator, None, "CERTIFICATE_REQUIRED")


def test_a_foreign_certificate_is_refused(emulator: Emulator, tmp_path: Path) -> None:
    """A certificate of another authority is refused, though its names are right."""
    refused(emulator, Chain(tmp_path / "foreign", "Look-alike").issue(TOPIC), "UNKNOWN_CA|DECRYPT")


def test_an_expired_certificate_is_refused(emulator: Emulator, apple_chain: Chain) -> None:
    """A certificate that ended yesterday is refused."""
    refused(emulator, apple_chain.issue(TOPIC, days=-1), "CERTIFICATE_EXPIRED")


def test_a_certificate_covers_its_own_topic_only(emulator: Emulator, apple_chain: Chain) -> None:
    """The subject's UID is the topic; without one the certificate is no good for pushes."""
    with Client(emulator, apple_chain.issue(OTHER_TOPIC)) as other:
        answer = other.push(new_token(), {"apns-topic": TOPIC})
        assert (answer.status, answer.reason) == (400, "TopicDisallowed")
        assert other.push(new_token(), {"apns-topic": OTHER_TOPIC}).status == 200
    with Client(emulator, apple_chain.issue(None)) as nameless:
        answer = nameless.push(new_token(), {"apns-topic": TOPIC})
        assert (answer.status, answer.reason) == (403, "BadCertificate")


def test_apples_own_extensions_do_no_harm(emulator: Emulator, apple_chain: Chain) -> None:
    """A certificate whose Apple extension is marked critical is accepted."""
    with Client(emulator, apple_chain.issue(TOPIC, critical_marker=True)) as client:
        assert client.push(new_token()).status == 200


def test_tls_1_2_will_do(emulator: Emulator, credential: Credential) -> None:
    """TLS 1.2 is enough, as with Apple."""
    with Client(emulator, credential, tls=ssl.TLSVersion.TLSv1_2) as client:
        assert client.socket.version() == "TLSv1.2"
        assert client.push(new_token()).status == 200


def test_only_http_2_is_spoken(emulator: Emulator, credential: Credential) -> None:
    """A client that did not agree on h2, or breaks it, is turned away; others are not harmed."""
    context = ssl.create_default_context(cafile=str(emulator.ca_file))
    context.load_cert_chain(credential.certificate, credential.key)
    for protocols in ([], ["http/1.1"], ["h2"]):
        if protocols:
            context.set_alpn_protocols(protocols)
        plain = socket.create_connection(("127.0.0.1", emulator.port), timeout=10)
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            tls.sendall(b"POST /3/device/x HTTP/1.1\r\n\r\n")
            received = b"".join(iter(partial(tls.recv, 65_536), b""))
        assert b"HTTP/1.1" not in received
    with socket.create_connection(("127.0.0.1", emulator.port), timeout=10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert b"HTTP/1.1" not in plain.recv(65_536)
    with Client(emulator, credential) as client:
        assert client.push(new_token()).status == 200


def test_trust_is_read_when_it_appears_and_changes(tmp_path: Path, start: Start) -> None:
    """Trusted certificates may come after the start and be replaced; no restart is needed."""
    trusted = tmp_path / "wwdr.pem"
    emulator, _ = start([tmp_path / "root.pem", trusted])
    first, second = Chain(tmp_path / "one", "One"), Chain(tmp_path / "two", "Two")
    before, after = first.issue(TOPIC), second.issue(TOPIC)
    refused(emulator, before, "UNKNOWN_CA")
    # The intermediate alone is enough: the root never comes.
    trusted.write_bytes(first.wwdr.read_bytes())
    with Client(emulator, before) as client:
        assert client.push(new_token()).status == 200
    trusted.write_bytes(b"-----BEGIN CERTIFICATE-----\nhalf a fi")
    with Client(emulator, before) as client:
        assert client.push(new_token()).status == 200
    trusted.write_bytes(second.root.read_bytes() + second.wwdr.read_bytes())
    with Client(emulator, after) as client:
        assert client.push(new_token()).status == 200
    refused(emulator, before, "UNKNOWN_CA")


# Load


def curl(emulator: Emulator, credential: Credential) -> pycurl.Curl:
    """A handle of libcurl that pushes as a product would."""
    handle = pycurl.Curl()
    handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
    handle.setopt(pycurl.CAINFO, str(emulator.ca_file))
    handle.setopt(pycurl.SSLCERT, str(credential.certificate))
    handle.setopt(pycurl.SSLKEY, str(credential.key))
    handle.setopt(pycurl.PIPEWAIT, 1)
    handle.setopt(pycurl.POSTFIELDS, "{}")
    handle.setopt(
        pycurl.HTTPHEADER,
        [f"apns-topic: {TOPIC}", "apns-push-type: background", "apns-priority: 5"],
    )
    return handle


def test_many_pushes_over_one_connection(emulator: Emulator, credential: Credential) -> None:
    """2,000 pushes go over one connection of another HTTP/2 stack, each logged once."""
    tokens = [secrets.token_hex(32) for _ in range(2000)]
    waiting, statuses, connections = tokens[::-1], [], 0
    multi = pycurl.CurlMulti()
    multi.setopt(pycurl.M_PIPELINING, 2)
    multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, 1)
    idle, busy = [curl(emulator, credential) for _ in range(100)], 0
    before = emulator.control("GET", "/_/log")
    while waiting or busy:
        while waiting and idle:
            handle = idle.pop()
            url = f"https://127.0.0.1:{emulator.port}/3/device/{waiting.pop()}"
            handle.setopt(pycurl.URL, url)
            multi.add_handle(handle)
            busy += 1
        multi.perform()
        _, finished, failed = multi.info_read()
        assert failed == []
        for handle in finished:
            statuses.append(handle.getinfo(pycurl.RESPONSE_CODE))
            connections += handle.getinfo(pycurl.NUM_CONNECTS)
            multi.remove_handle(handle)
            idle.append(handle)
        busy -= len(finished)
        multi.select(max(0, min(multi.timeout() / 1000, 1)))
    for handle in idle:
        handle.close()
    multi.close()
    assert statuses == [200] * 2000
    assert connections == 1
    last = before[-1]["seq"] if before else 0
    logged = emulator.control("GET", f"/_/log?after={last}")
    assert sorted(entry["token"] for entry in logged) == sorted(tokens)


# Starting and stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_gracefully(
    start: Start, apple_chain: Chain, credential: Credential, number: signal.Signals
) -> None:
    """Clients are told to leave, answers under way are given, and the exit code is 0."""
    emulator, process = start([apple_chain.wwdr])
    with Client(emulator, credential) as client:
        emulator.arm("slow", seconds=0.2)
        stream = client.open(f"/3/device/{new_token()}")
        begin = time.monotonic()
        # Once it is in the log it is under way.
        while not emulator.control("GET", "/_/log?wait=5"):
            assert time.monotonic() - begin < 10
        process.send_signal(number)
        frames = list(client.frames())
        (goaway,) = [frame for frame in frames if isinstance(frame, GoAwayFrame)]
        assert goaway.last_stream_id == stream
        assert orjson.loads(goaway.additional_data) == {"reason": "Shutdown"}
        assert [frame.stream_id for frame in frames if frame.stream_id] == [stream]
    assert process.communicate(timeout=10)[0] == ""
    assert process.returncode == 0


@pytest.mark.parametrize("offset", [0, 1])
def test_a_taken_port_is_one_clear_line(tmp_path: Path, offset: int) -> None:
    """When either port is taken the emulator says which and ends."""
    port = free_ports()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port + offset))
        taken.listen()
        process = start_emulator(tmp_path / "apns", port, [])
        process.communicate(timeout=10)
    assert process.returncode == 1
    (line,) = (tmp_path / "apns.log").read_text().splitlines()
    expected = f"The APNs emulator cannot listen: port {port + offset} on 127.0.0.1 is taken."
    assert line == expected


def test_its_identity_is_kept_while_it_is_good(tmp_path: Path) -> None:
    """The files are made once, made again when they do not fit; the key stays private."""
    folder = tmp_path / "new" / "apns"
    create_identity(folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(files) == ["ca.pem", "server-key.pem", "server.pem"]
    assert (folder / "server-key.pem").stat().st_mode & 0o777 == 0o600
    server = x509.load_pem_x509_certificate(files["server.pem"])
    server.verify_directly_issued_by(x509.load_pem_x509_certificate(files["ca.pem"]))
    create_identity(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    create_identity(tmp_path / "other")
    (folder / "server-key.pem").write_bytes((tmp_path / "other/server-key.pem").read_bytes())
    create_identity(folder)
    assert (folder / "ca.pem").read_bytes() != files["ca.pem"]
    assert (folder / "server-key.pem").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_is_a_clear_error(tmp_path: Path) -> None:
    """Where no folder can be made, the error names it."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=str(tmp_path / "file" / "apns")):
        create_identity(tmp_path / "file" / "apns")
