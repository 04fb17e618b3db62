"""Who gets a client's records: an active manager, or Kafka where none can have taken them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from emdata.clock import ManualClock
from emdata.errors import ServiceError, SourceUnavailable
from stream_manager.clients import client as module
from stream_manager.clients.client import ManagerClient, Sent
from tests.support.ports import free_ports

STANDBY = b'{"title": "standby", "status": 503}'


@dataclass
class Endpoint:
    """A manager's door: answers with a status; slow, only its health; hung, nothing."""

    url: str
    status: int = 200
    answer: bytes = b""
    posts: int = 0
    release: threading.Event = field(default_factory=threading.Event)
    is_slow: bool = False
    is_hung: bool = False

    def take(self, body: bytes) -> tuple[int, bytes]:
        """Answer one POST."""
        self.posts += 1
        if self.is_hung or self.is_slow:
            self.release.wait(10)
        count = len(json.loads(body))
        return self.status, self.answer or json.dumps({"accepted": count}).encode()


@contextmanager
def endpoint(**settings: Any) -> Iterator[Endpoint]:
    """A running door."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._send(*found.take(self.rfile.read(int(self.headers["Content-Length"]))))

        def do_GET(self) -> None:
            if found.is_hung:
                found.release.wait(10)
            self._send(200, b"{}")

        def _send(self, status: int, answer: bytes) -> None:
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
            except OSError:
                return  # who asked a hung manager is gone

        def log_message(self, *_arguments: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Endpoint(f"http://127.0.0.1:{server.server_port}", **settings)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield found
    finally:
        found.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Kafka:
    """What a fallback took."""

    bodies: list[bytes] = field(default_factory=list)
    is_closed: bool = False

    def post(self, _dataset: str, body: bytes) -> tuple[int, bytes]:
        """Take records."""
        self.bodies.append(body)
        return 200, json.dumps({"accepted": len(json.loads(body))}).encode()

    def close(self) -> None:
        """Note the end."""
        self.is_closed = True


def client(*urls: str, kafka: Kafka | None = None, timeout: float = 5.0) -> ManagerClient:
    """A client of managers, with or without a way past them."""
    fallback = None if kafka is None else lambda: kafka
    return ManagerClient(list(urls), token=lambda: "t", timeout=timeout, fallback=fallback)


def nowhere() -> str:
    """The address of a manager that does not run."""
    return f"http://127.0.0.1:{free_ports(1)[0]}"


def test_records_go_to_the_manager_that_is_active() -> None:
    kafka = Kafka()
    with endpoint(status=503, answer=STANDBY) as standby, endpoint() as active:
        sent = client(nowhere(), standby.url, active.url, kafka=kafka).post("d", [b"1", b"2"])
        assert (sent, standby.posts, active.posts) == (Sent(accepted=2), 1, 1)
    assert kafka.bodies == []


def test_without_any_active_manager_records_go_to_kafka_and_that_is_said() -> None:
    kafka = Kafka()
    with endpoint(status=503, answer=STANDBY) as standby:
        made = client(nowhere(), standby.url, kafka=kafka)
        assert made.post("d", [b"1", b"2"]) == Sent(accepted=2, degraded=2)
        assert made.is_degraded
    assert kafka.bodies == [b"[1,2]"]


@pytest.mark.parametrize("status", [429, 503, 507])
def test_a_manager_that_has_no_room_is_not_passed_by(status: int) -> None:
    kafka = Kafka()
    with endpoint(status=status, answer=b"no room") as full, pytest.raises(SourceUnavailable):
        client(full.url, kafka=kafka).post("d", [b"1"])
    assert kafka.bodies == []


def test_a_manager_that_refuses_is_not_passed_by() -> None:
    kafka = Kafka()
    with endpoint(status=401, answer=b"token") as strict, pytest.raises(ServiceError, match="401"):
        client(strict.url, kafka=kafka).post("d", [b"1"])
    assert kafka.bodies == []


def test_a_manager_that_is_slow_but_alive_is_asked_again_instead() -> None:
    kafka = Kafka()
    with endpoint(is_slow=True) as slow, pytest.raises(SourceUnavailable):
        client(slow.url, kafka=kafka, timeout=0.05).post("d", [b"1"])
    assert kafka.bodies == []


def test_a_manager_that_accepts_connections_and_shows_no_life_is_passed_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.05)
    kafka = Kafka()
    with endpoint(is_hung=True) as stopped:
        assert client(stopped.url, kafka=kafka, timeout=0.05).post("d", [b"1"]).degraded == 1


def test_the_manager_gets_the_records_again_once_it_is_back() -> None:
    kafka, clock = Kafka(), ManualClock()
    with endpoint(status=503, answer=STANDBY) as manager:
        made = ManagerClient([manager.url], token=lambda: "t", fallback=lambda: kafka, clock=clock)
        made.post("d", [b"1"])
        manager.status, manager.answer = 200, b""
        # For some seconds it is not asked, so that a hung one does not slow every batch down.
        assert made.post("d", [b"2"]).degraded == 1
        clock.advance(module.AGAIN_SECONDS)
        assert made.post("d", [b"3"]) == Sent(accepted=1)
    assert not made.is_degraded
    assert kafka.is_closed
    assert kafka.bodies == [b"[1]", b"[2]"]


def test_a_client_gets_ready_once_when_a_manager_has_answered() -> None:
    prepared: list[int] = []
    with endpoint() as manager:
        made = ManagerClient(
            [manager.url], token=lambda: "t", prepare=lambda: prepared.append(manager.posts)
        )
        made.post("d", [b"1"])
        made.post("d", [b"2"])
    assert prepared == [1]
